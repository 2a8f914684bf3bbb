/** Conditions on the cells of a row, as in SQL: what is compared with NULL is unknown, and unknown does not match. Pure. */
import type { Column, ColumnKind, Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { bytesOf, textOf, type Cell } from '../change/row.ts'
import { compareDecimals, isDecimal } from './decimal.ts'
import type { Condition } from './definition.ts'

/** Cells by their place in the table. */
type Filter = (cells: readonly Cell[]) => boolean

export interface CompiledFilter {
  /** Places of the columns that it reads. */
  readonly columns: readonly number[]
  readonly matches: Filter
}

/** Throws a Failure of kind `configuration` for a column that is not there or a value that it can never have. */
export function compileFilter(conditions: readonly Condition[], table: Table): CompiledFilter {
  const tests = conditions.map((condition) => {
    const at = table.columns.findIndex((column) => column.name === condition.column)
    const column = table.columns[at]
    if (column === undefined)
      throw new Failure('configuration', `where: ${table.name} has no column ${condition.column}`, {
        remedy: `its columns are ${table.columns.map(({ name }) => name).join(', ')}`,
      })
    return { at, test: testOf(condition, column) }
  })
  return {
    columns: tests.map(({ at }) => at),
    matches: (cells) => tests.every(({ at, test }) => test(cells[at])),
  }
}

type CellTest = (cell: Cell) => boolean

function testOf(condition: Condition, column: Column): CellTest {
  const { comparison, value } = condition
  if (comparison === 'isNull') {
    const wanted = value !== false
    return (cell) => (cell === null) === wanted
  }
  const family = families[column.kind]
  if (family === undefined)
    throw new Failure(
      'configuration',
      `where: ${column.name} (${column.type}) can only be tested with isNull`,
    )
  if (comparison === 'in') {
    const compares = (Array.isArray(value) ? value : [value])
      .filter((each) => each !== null)
      .map((each) => comparerOf(family, each, column))
    return (cell) => isValue(cell) && compares.some((compare) => compare(cell) === 0)
  }
  if (value === null) return () => false
  const compare = comparerOf(family, value, column)
  const holds = verdicts[comparison]
  return (cell) => isValue(cell) && holds(compare(cell))
}

function isValue(cell: Cell): cell is string {
  return cell !== null && cell !== undefined
}

/** Whether a comparison holds, by how the cell compares. */
const verdicts = {
  eq: (compared: number) => compared === 0,
  ne: (compared: number) => compared !== 0,
  lt: (compared: number) => compared < 0,
  lte: (compared: number) => compared <= 0,
  gt: (compared: number) => compared > 0,
  gte: (compared: number) => compared >= 0,
} as const

/** Below, at or above zero: how a cell compares with the condition's value. */
type Compare = (cell: string) => number

/** Kinds of columns that compare alike. */
interface Family {
  /** The condition's value in the form that cells are compared in; undefined = no cell ever has it. */
  readonly wanted: (value: unknown) => string | undefined
  readonly remedy: string
  readonly compare: (cell: string, wanted: string) => number
}

const numberWanted = (value: unknown): string | undefined => {
  if (typeof value === 'boolean') return value ? '1' : '0'
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value
  return typeof text === 'string' && isDecimal(text) ? text : undefined
}

const textWanted = (value: unknown): string | undefined => {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return typeof value === 'string' ? bytesOf(value) : undefined
}

const exact: Family = {
  wanted: numberWanted,
  remedy: 'write a number',
  compare: (cell, wanted) => compareDecimals(plain(cell), wanted),
}

const floating: Family = {
  wanted: numberWanted,
  remedy: 'write a number',
  compare: (cell, wanted) => Math.sign(Number(cell) - Number(wanted)),
}

/** Dates and times sort as their text does, in one spelling. */
const moment: Family = {
  wanted: (value) => (typeof value === 'string' ? momentText(value) : undefined),
  remedy: "write it as '2026-01-31' or '2026-01-31T12:00:00'",
  compare: (cell, wanted) => order(momentText(plain(cell)), wanted),
}

/** Bytes of UTF-8 sort as their code points do. */
const words: Family = {
  wanted: textWanted,
  remedy: 'write a text in quotes',
  compare: (cell, wanted) => order(plain(cell), wanted),
}

const labels: Family = {
  wanted: textWanted,
  remedy: "write the labels as 'a,b'",
  compare: (cell, wanted) => order(bytesOf((JSON.parse(textOf(cell)) as string[]).join(',')), wanted),
}

const bytes: Family = {
  wanted: (value) => (typeof value === 'string' ? unpackBase64(value) : undefined),
  remedy: 'write the bytes in base64',
  compare: (cell, wanted) => order(unpackBase64(plain(cell)), wanted),
}

const families: Readonly<Partial<Record<ColumnKind, Family>>> = {
  integer: exact,
  decimal: exact,
  bit: exact,
  year: exact,
  float: floating,
  double: floating,
  date: moment,
  datetime: moment,
  timestamp: moment,
  time: words,
  string: words,
  text: words,
  enum: words,
  set: labels,
  binary: bytes,
  blob: bytes,
  uuid: words,
  address: words,
}

function comparerOf(family: Family, value: unknown, column: Column): Compare {
  const wanted = family.wanted(value)
  if (wanted === undefined)
    throw new Failure(
      'configuration',
      `where: ${column.name} (${column.type}) is never ${JSON.stringify(value)}`,
      {
        remedy: family.remedy,
      },
    )
  return (cell) => family.compare(cell, wanted)
}

/** A cell without the quotes and escapes of JSON, one character per UTF-8 byte. */
function plain(cell: string): string {
  if (cell.charCodeAt(0) !== quote) return cell
  return cell.includes('\\') ? bytesOf(String(JSON.parse(textOf(cell)))) : cell.slice(1, -1)
}

const quote = 34

function unpackBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('latin1')
}

/** T between date and time, no Z, no idle zeros after the point. */
function momentText(text: string): string {
  const spelled = text.replace(' ', 'T').replace(/Z$/, '')
  return spelled.includes('.') ? spelled.replace(/\.?0+$/, '') : spelled
}

function order(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
