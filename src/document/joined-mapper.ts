/**
 * Documents that hold rows of other tables: no entry of the log shows a whole one, so each is read. What an entry says of a
 * document that is to go, it says in full.
 */
import { RecordsBuilder } from '../change/records.ts'
import { Entries } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'
import type { RelatedRows } from '../source/source.ts'
import type { DocumentDefinition } from './definition.ts'
import type { JoinedMapper, Mapped, RowMapper, Work } from './enricher.ts'
import { JoinedBody, type Members } from './joined-body.ts'
import { JoinedDocuments } from './joined-rows.ts'
import { joinsOf, markedColumns, parentColumns, shownColumns, tablesIn } from './joins.ts'

/** `rows` maps the root table's rows. */
export function joinedMapper(definition: DocumentDefinition, rows: RowMapper): JoinedMapper {
  const joins = joinsOf(definition)
  const rootMarks = parentColumns(joins, undefined)
  return {
    tables: tablesIn(definition),
    rootMarks,
    reads: joins.map((join) => ({
      table: join.table,
      parent: join.parent,
      by: join.pairs.map(({ child }) => child),
      parentColumns: join.pairs.map(({ parent }) => parent),
      columns: shownColumns(join),
      marks: markedColumns(joins, join),
      order: join.child?.order ?? [],
    })),
    map: (entries) => withoutShown(rows.map(entries)),
    isPlaced: rows.isPlaced,
    gone: (table, key, version) => rows.gone(table, key, version),
    filter: (roots) => {
      if (definition.where.length === 0) return roots
      const shown = new Set(rootOperations(rows, roots).map(({ at }) => at))
      return { table: roots.table, rows: roots.rows.filter((_, at) => shown.has(at)) }
    },
    bare: (roots) => rootOperations(rows, roots).map(({ operation }) => operation),
    join: (roots, found) => {
      const documents = new JoinedDocuments({ rootMarks, joins, found })
      const works = rootOperations(rows, roots)
      // The buffer may be another one until all are written.
      const ends = works.map(({ at }) => documents.write(roots.rows[at]))
      const { bytes } = documents
      return works.map(({ operation }, at) =>
        joined(operation, { bytes, from: ends[at - 1] ?? 0, to: ends[at] ?? 0 }),
      )
    },
  }
}

/** What the roots ask for, as if a log had the rows; those that have a document. */
export function rootOperations(mapper: RowMapper, { table, rows }: RelatedRows): readonly Work[] {
  const records = new RecordsBuilder()
  for (const { key, bytes, from, to } of rows) records.addRead(table, key, { bytes, from, to })
  const entries = Entries.all(records.finish(), { offset: 0, version: 0n })
  return [...mapper.map(entries).works].filter(({ operation }) => operation.op === 'index')
}

function withoutShown({ works: listed, incomplete }: Mapped): Mapped {
  const works = [...listed]
  const shown = works.filter(({ operation }) => operation.op === 'index')
  const numbers = shown.map(({ at }) => at)
  const placed = shown.filter(({ operation }) => operation.everywhere !== true).map(({ at }) => at)
  return {
    works: works.filter(({ operation }) => operation.op === 'delete'),
    incomplete: [...new Set([...incomplete, ...numbers])].toSorted((a, b) => a - b),
    placed: new Set(placed),
  }
}

function joined(operation: Operation, members: Members): Operation {
  if (operation.op === 'delete') return operation
  return { ...operation, repeatable: false, body: new JoinedBody(operation.body, members) }
}
