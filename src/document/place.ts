/** Where a document lies, as its row says: its routing, and of several indexes the one of its period. */
import type { Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import type { Cell } from '../change/row.ts'
import { documentId } from './document-id.ts'
import type { Placing } from './definition.ts'

export interface PlacePlan {
  /** Columns of the routing, by their place in the table; none = a document's id. */
  readonly routing: readonly number[]
  readonly period: PeriodPlan | undefined
}

interface PeriodPlan {
  readonly column: number
  readonly prefix: string
  readonly format: string
}

export interface Place {
  readonly routing: string | undefined
  readonly index?: string
}

/** undefined = documents lie where their ids put them. Throws a Failure of kind `configuration` for columns that will not do. */
export function placePlan({ routing, period }: Placing, table: Table): PlacePlan | undefined {
  if (routing.length === 0 && period === undefined) return undefined
  return {
    routing: routing.map((name) => columnAt(table, name, 'routing')),
    period: period === undefined ? undefined : { ...period, column: dateColumnAt(table, period.column) },
  }
}

export function placeColumns({ routing, period }: PlacePlan): readonly number[] {
  return period === undefined ? routing : [...routing, period.column]
}

/** `cellOf` gives a column's value in the row. */
export function placeOf({ routing, period }: PlacePlan, cellOf: (column: number) => Cell): Place {
  const cells = routing.map(cellOf)
  // Where nothing is known the id decides, as it does without a routing.
  const isKnown = cells.some((cell) => cell !== null && cell !== undefined)
  const place = { routing: isKnown ? documentId(cells, '') : undefined }
  if (period === undefined) return place
  return { ...place, index: period.prefix + periodOf(cellOf(period.column), period.format) }
}

/** The period that a date or a time lies in; times without a zone count as UTC. */
function periodOf(cell: Cell, format: string): string {
  const [, year = '', month = '', day = ''] = /^"(\d{4})-(\d\d)-(\d\d)/.exec(cell?.toString() ?? '') ?? []
  if (year === '' || month === '00' || day === '00') return undated
  return format.replace('YYYY', year).replace('MM', month).replace('DD', day)
}

/** In place of a period, for rows without a date. */
const undated = 'undated'

function columnAt(table: Table, name: string, where: string): number {
  const at = table.columns.findIndex((column) => column.name === name)
  if (at !== -1) return at
  throw new Failure('configuration', `target.${where}: ${table.name} has no column ${name}`, {
    remedy: `its columns are ${table.columns.map((column) => column.name).join(', ')}`,
  })
}

function dateColumnAt(table: Table, name: string): number {
  const at = columnAt(table, name, 'index')
  const { kind, type } = table.columns[at] ?? {}
  if (kind === 'date' || kind === 'datetime' || kind === 'timestamp') return at
  throw new Failure('configuration', `target.index: ${name} (${type}) is neither a date nor a time`, {
    remedy: 'name a column of type DATE, DATETIME or TIMESTAMP',
  })
}
