/**
 * Which documents a change of a joined table concerns: those that showed the row before, and those that show it now. A change
 * of columns that no document uses concerns none.
 */
import type { Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { operations, type RecordCursor } from '../change/records.ts'
import { cellAt, findCells, type Cell } from '../change/row.ts'
import type { DocumentDefinition } from './definition.ts'
import type { ChildChanges, Concern } from './enricher.ts'
import { compileFilter, type CompiledFilter } from './filter.ts'
import { decisiveColumns, joinsOf, type Join } from './joins.ts'
import { documentFields, knownFields } from './mapping.ts'

export function childChanges(definition: DocumentDefinition): ChildChanges {
  const joins = joinsOf(definition)
  const watched = new WeakMap<Table, readonly WatchedJoin[]>()
  return {
    ascents: joins.map(({ table, parentTable, parent, pairs, roots }) => ({
      table,
      parentTable,
      parent,
      by: pairs.map(({ child }) => child),
      parentColumns: pairs.map((pair) => pair.parent),
      roots,
    })),
    concerns: (cursor) => {
      const { table } = cursor
      const own = watched.get(table) ?? watchedJoins(joins, table)
      watched.set(table, own)
      return own.flatMap((join) => join.concerns(cursor))
    },
  }
}

function watchedJoins(joins: readonly Join[], table: Table): readonly WatchedJoin[] {
  return joins.filter((join) => join.table === table.name).map((join) => new WatchedJoin(joins, join, table))
}

/** One join of a table, as its records are under one definition. */
class WatchedJoin {
  readonly #ascent: number
  readonly #table: Table
  /** Places of the columns that lead to the parent, and of all that documents use. */
  readonly #by: readonly number[]
  readonly #used: readonly number[]
  readonly #filter: CompiledFilter | undefined
  readonly #spans: Int32Array

  constructor(joins: readonly Join[], join: Join, table: Table) {
    const { child } = join
    const known = new Map(table.columns.map((column, at) => [column.name, at]))
    const conditions = (child?.where ?? []).filter(({ column }) => known.has(column))
    const shown = child === undefined ? [] : documentFields(knownFields(child, known), table)
    const used = [...decisiveColumns(joins, join), ...shown.map(({ column }) => column.name)]
    this.#ascent = join.number
    this.#table = table
    this.#by = join.pairs.map((pair) => known.get(pair.child) ?? missing(table, pair.child))
    this.#used = [...new Set(used.flatMap((name) => known.get(name) ?? []))]
    this.#filter = conditions.length === 0 ? undefined : compileFilter(conditions, table)
    this.#spans = new Int32Array(2 * table.columns.length)
  }

  concerns(cursor: RecordCursor): readonly Concern[] {
    if (cursor.operation === operations.touch) return [{ ascent: this.#ascent, values: undefined }]
    const before = this.#cells(cursor, cursor.beforeAt, cursor.afterAt)
    const after = this.#cells(cursor, cursor.afterAt, cursor.keyAt)
    if (before !== undefined && after !== undefined) {
      // What an image after does not show did not change.
      for (const [at, cell] of after.entries()) if (cell === undefined) after[at] = before[at]
      if (this.#used.every((at) => after[at] !== undefined && after[at] === before[at])) return []
    }
    const own = this.#concern(before)
    const next = this.#concern(after)
    if (own === undefined || next === undefined) return [own, next].flatMap((each) => each ?? [])
    return String(own.values) === String(next.values) ? [next] : [own, next]
  }

  /** undefined = the row is not shown, be it that it leads nowhere. */
  #concern(cells: Cell[] | undefined): Concern | undefined {
    if (cells === undefined) return undefined
    const { columns = [], matches } = this.#filter ?? {}
    if (columns.every((at) => cells[at] !== undefined) && matches?.(cells) === false) return undefined
    const values: string[] = []
    for (const at of this.#by) {
      const cell = cells[at]
      if (cell === undefined) throw this.#incomplete()
      if (cell === null) return undefined
      values.push(cell)
    }
    return { ascent: this.#ascent, values }
  }

  #cells({ records }: RecordCursor, from: number, to: number): Cell[] | undefined {
    if (from === to) return undefined
    findCells(records.bytes, from, to, this.#spans)
    return this.#table.columns.map((_, at) => cellAt(records.bytes, this.#spans, at))
  }

  #incomplete(): Failure {
    const names = this.#by.map((at) => this.#table.columns[at]?.name).join(', ')
    return new Failure(
      'configuration',
      `a change of ${this.#table.name} does not show ${names}, by which its documents are found`,
      {
        remedy:
          'let the source show whole rows in its changes (millrace doctor says how); then run with --reload',
      },
    )
  }
}

function missing(table: Table, name: string): never {
  throw new Failure(
    'configuration',
    `${table.name} has no column ${name}, by which its documents are found`,
    {
      remedy: 'give the table the column back, or change the pipeline file and run with --reload',
    },
  )
}
