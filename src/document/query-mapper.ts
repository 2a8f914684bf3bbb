/**
 * Documents that a person's query answers: the root's row decides whether there is a document and where it lies, the query's row
 * of the same key what it shows. A root for which the query has no row has no document.
 */
import type { Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { textBody, textOfBody, type Operation, type Remark } from '../sink/sink.ts'
import type { RelatedRow, RelatedRows } from '../source/source.ts'
import type { DocumentDefinition, RowDefinition } from './definition.ts'
import type { JoinedMapper, RowMapper } from './enricher.ts'
import { joinedMapper, rootOperations } from './joined-mapper.ts'
import { rowDocument } from './mapping.ts'
import type { RowDocument } from './row-document.ts'

/** `rows` maps the root table's rows; it need not show any column. */
export function queryMapper(definition: DocumentDefinition, query: string, rows: RowMapper): JoinedMapper {
  const mapper = joinedMapper(definition, rows)
  const documents = new WeakMap<Table, RowDocument>()
  return {
    ...mapper,
    query,
    rootMarks: [],
    reads: [],
    join: (roots, [answer = noAnswer]) => {
      const { table } = answer
      const document = documents.get(table) ?? answerDocument(definition, table)
      documents.set(table, document)
      const byKey = Map.groupBy(answer.rows, ({ key }) => key)
      const operations = rootOperations(rows, roots).map(({ at, operation }) => {
        const key = roots.rows[at]?.key
        const own = key === undefined ? [] : (byKey.get(key) ?? [])
        if (key !== undefined) byKey.delete(key)
        return shown(operation, document, own)
      })
      if (byKey.size > 0) throw notAsked(definition.table)
      return operations
    },
  }
}

/** Servers make lists by JSON_ARRAYAGG in any order, and in another one the next time. */
export function listsOf({ sql }: DocumentDefinition): 'ordered' | 'unordered' {
  return /\bJSON_ARRAYAGG\b/i.test(sql?.query ?? '') ? 'unordered' : 'ordered'
}

/** What there is where no root has a document. */
const noAnswer: RelatedRows = { table: { name: '', columns: [], key: [] }, rows: [] }

function notAsked(table: string): Failure {
  return new Failure('configuration', 'the query of sql answered with an id that it was not asked for', {
    remedy: `let its first columns be the key of ${table} as that table has it, which IN (:ids) compares with`,
  })
}

/** The columns of the answer under their own names. */
export function answerRows({ forms }: DocumentDefinition, table: Table): RowDefinition {
  return { table: table.name, fields: undefined, exclude: [], forms, where: [] }
}

function answerDocument(definition: DocumentDefinition, table: Table): RowDocument {
  return rowDocument(answerRows(definition, table), table, { columns: [], prefix: '' })
}

function shown(
  operation: Operation,
  document: RowDocument,
  [row, ...others]: readonly RelatedRow[],
): Operation | undefined {
  if (row === undefined) return undefined
  document.read(row.bytes, row.from, row.to)
  const body = textBody(textOfBody(document.body()))
  const remark = others.length === 0 ? {} : { remark: tooMany(others.length + 1) }
  return { ...operation, op: 'index', repeatable: false, body, ...remark }
}

function tooMany(rows: number): Remark {
  return {
    kind: 'refused',
    reason: `the query of sql answered with ${rows} rows for this id: let it answer with one, lists by JSON_ARRAYAGG`,
    fingerprint: 'the query of sql answered with several rows for an id',
  }
}
