/** Rows of tables in memory by the values of their columns, as a view has them. */
import type { Key, Row, Table } from '../../src/change/change.ts'
import { packRow, textOf, unpackRow, type Cell } from '../../src/change/row.ts'
import { relatedRow, type RelatedRequest, type RelatedRows, type View } from '../../src/source/source.ts'
import { compareKeys, keyValues } from './memory-page.ts'

/** What of a database reads can see. */
interface Visible {
  visibleTable(name: string): Table
  visibleRows(name: string): ReadonlyMap<Key, Row>
}

/** The tables as they are visible now: what is revealed later is not seen. */
export function viewOf(
  database: Visible,
  tables: readonly string[],
  suffer: () => Promise<void>,
): Omit<View, 'head'> {
  const seen = new Map(
    tables.map((name) => {
      const rows: ReadonlyMap<Key, Row> = new Map(database.visibleRows(name))
      return [name, { table: database.visibleTable(name), rows }]
    }),
  )
  return {
    related: async (request) => {
      await suffer()
      const found = seen.get(request.table)
      if (found === undefined) throw new Error(`${request.table} is not one of the view's tables`)
      return relatedRows(found.table, found.rows, request)
    },
    answers: () => Promise.reject(new Error('a database in memory understands no SQL')),
  }
}

function relatedRows(table: Table, visible: ReadonlyMap<Key, Row>, request: RelatedRequest): RelatedRows {
  const part = partOf(table, request)
  const at = (name: string): number => table.columns.findIndex((column) => column.name === name)
  const wanted = new Set(request.values.map((cells) => cells.join('\n')))
  const low = request.after === undefined ? undefined : keyValues(request.after)
  const found = [...visible]
    .map(([key, row]) => ({ key, cells: unpackRow(row, table.columns.length) }))
    .filter(({ cells }) => wanted.has(request.by.map((name) => cells[at(name)]).join('\n')))
    .filter(({ key }) => low === undefined || compareKeys(keyValues(key), low) > 0)
    .toSorted((a, b) => {
      for (const { column, descending } of request.order) {
        const order = compareKeys([valueOf(a.cells[at(column)])], [valueOf(b.cells[at(column)])])
        if (order !== 0) return descending ? -order : order
      }
      return compareKeys(keyValues(a.key), keyValues(b.key))
    })
  const rows = found.slice(0, request.rowsMax).map(({ key, cells }) => {
    const row = packRow(part.columns.map(({ name }) => cells[at(name)]))
    const marks = request.marks.map((name) => cells[at(name)] ?? undefined)
    return relatedRow(key, row, marks)
  })
  return { table: part, ...upTo(rows, request.bytesMax ?? Infinity) }
}

/** Rows up to so many bytes, but at least one. */
function upTo(rows: RelatedRows['rows'], bytesMax: number): Omit<RelatedRows, 'table'> {
  let bytes = 0
  const kept = rows.filter(({ from, to }, at) => (bytes += to - from) <= bytesMax || at === 0)
  return { rows: kept, bytes, isCut: kept.length < rows.length }
}

const parts = new WeakMap<Table, Map<string, Table>>()

function partOf(table: Table, { columns, marks, by }: RelatedRequest): Table {
  if (columns === undefined) return table
  const wanted = new Set([...columns, ...marks, ...by])
  const name = [...wanted].toSorted().join('\n')
  const known = parts.get(table) ?? new Map<string, Table>()
  parts.set(table, known)
  const chosen = [...table.columns.entries()].filter(
    ([at, column]) => wanted.has(column.name) || table.key.includes(at),
  )
  const places = chosen.map(([at]) => at)
  const part = known.get(name) ?? {
    name: table.name,
    columns: chosen.map(([, column]) => column),
    key: table.key.map((at) => places.indexOf(at)),
  }
  known.set(name, part)
  return part
}

function valueOf(cell: Cell): unknown {
  return typeof cell === 'string' ? (JSON.parse(textOf(cell)) as unknown) : null
}
