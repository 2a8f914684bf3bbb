/**
 * One table's rows as documents, without any look-up: the cells of a row are JSON already, so a document is spliced from
 * them and never parsed.
 *
 *   row  3 "7" ∙ 5 "Ada" ∙ NULL      plan  {"id":  ,"name":  ,"phone":       document  {"id":7,"name":"Ada","phone":null}
 */
import type { Change, Column, Row, Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { bytesOf, inOnePiece, unpackRow, type Cell } from '../change/row.ts'
import type { Entry } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'
import type { DocumentDefinition, Form } from './definition.ts'
import { documentId } from './document-id.ts'
import type { Work } from './enricher.ts'
import { compileFilter, type Filter } from './filter.ts'
import { cellForm, formsOf, type CellForm } from './form.ts'

export interface DocumentField {
  readonly field: string
  readonly column: Column
  /** Undefined = that of change events. */
  readonly form: Form | undefined
}

/**
 * Entries of a log may be older than a column that the definition uses: their documents are without it, and none where it
 * decides whether there is one. The load that the new column, or the new definition, brings about makes them whole.
 * Throws a Failure of kind `configuration` when the table lacks a column of the id.
 */
export type Mapper = (entries: readonly Entry[]) => Work[]

export function createMapper(definition: DocumentDefinition): Mapper {
  const plans = new WeakMap<Table, Plan>()
  let latest: Plan | undefined
  const planOf = (table: Table): Plan => {
    if (latest?.table === table) return latest
    const plan = plans.get(table) ?? planFor(definition, table)
    plans.set(table, plan)
    return (latest = plan)
  }
  return (entries) => {
    const cells: Cell[] = []
    return entries.map((entry) => ({
      entry,
      operations: operationsOf(entry, planOf(entry.change.table), cells),
    }))
  }
}

/** Throws a Failure of kind `configuration` when the table lacks a column that the definition uses. */
export function checkDefinition(definition: DocumentDefinition, table: Table): void {
  checkForms(definition, documentFields(definition, table))
  compileFilter(definition.where, table)
  planFor(definition, table)
}

/** The fields of the documents and the columns that they show, in column order. An excluded column may have left already. */
export function documentFields(definition: DocumentDefinition, table: Table): readonly DocumentField[] {
  const { fields, exclude } = definition
  if (fields === undefined) {
    return table.columns
      .filter((column) => !exclude.includes(column.name))
      .map((column) => ({ field: column.name, column, form: formOf(definition, column.name) }))
  }
  const chosen = Object.entries(fields).map(([field, name]) => ({
    field,
    at: columnAt(table, name, 'fields'),
  }))
  return chosen
    .toSorted((a, b) => a.at - b.at)
    .flatMap(({ field, at }) => {
      const column = table.columns[at]
      return column === undefined ? [] : [{ field, column, form: formOf(definition, field) }]
    })
}

function formOf({ forms = {} }: DocumentDefinition, field: string): Form | undefined {
  return Object.hasOwn(forms, field) ? forms[field] : undefined
}

function checkForms({ forms = {}, table }: DocumentDefinition, fields: readonly DocumentField[]): void {
  for (const [field, form] of Object.entries(forms)) {
    const column = fields.find((each) => each.field === field)?.column
    if (column === undefined)
      throw new Failure('configuration', `forms: the documents of ${table} have no field ${field}`, {
        remedy: `their fields are ${fields.map((each) => each.field).join(', ')}`,
      })
    if (formsOf(column).includes(form)) continue
    throw new Failure('configuration', `forms: ${field} (${column.type}) cannot be shown as ${form}`, {
      remedy: `it can be shown as ${formsOf(column).join(', ')}`,
    })
  }
}

/** All that can be worked out from the table alone. */
interface Plan {
  readonly table: Table
  /** What stands before each value: `"id":`, `,"name":`. */
  readonly steps: readonly Step[]
  readonly idColumns: readonly number[]
  readonly idPrefix: string
  /** undefined = every row has a document. */
  readonly matches: Filter | undefined
}

interface Step {
  readonly at: number
  readonly before: string
  readonly dated: boolean
  /** Undefined = the value stays as it is. */
  readonly form: CellForm | undefined
}

function planFor(definition: DocumentDefinition, table: Table): Plan {
  if (table.name !== definition.table)
    throw new Error(`a change of ${table.name} reached ${definition.table}`)
  const known = new Set(table.columns.map(({ name }) => name))
  const fields = documentFields(knownFields(definition, known), table)
  const steps = fields.map(({ field, column, form }, at) => ({
    at: table.columns.indexOf(column),
    before: `${at === 0 ? '' : ','}${bytesOf(JSON.stringify(field))}:`,
    dated: datedKinds.has(column.kind),
    form: cellForm(column, form),
  }))
  return {
    table,
    steps,
    idColumns: definition.id?.map((name) => keyColumnAt(table, name)) ?? table.key,
    idPrefix: definition.idPrefix,
    matches: filterFor(definition, table, known),
  }
}

function knownFields(definition: DocumentDefinition, known: ReadonlySet<string>): DocumentDefinition {
  const { fields } = definition
  if (fields === undefined) return definition
  const left = Object.entries(fields).filter(([, column]) => known.has(column))
  return { ...definition, fields: Object.fromEntries(left) }
}

function filterFor(
  { where }: DocumentDefinition,
  table: Table,
  known: ReadonlySet<string>,
): Filter | undefined {
  if (where.length === 0) return undefined
  return where.every(({ column }) => known.has(column)) ? compileFilter(where, table).matches : matchesNothing
}

const matchesNothing: Filter = () => false

const datedKinds = new Set(['date', 'datetime', 'timestamp'])

function columnAt(table: Table, name: string, where: string): number {
  const at = table.columns.findIndex((column) => column.name === name)
  if (at === -1)
    throw new Failure('configuration', `${where}: ${table.name} has no column ${name}`, {
      remedy: `its columns are ${table.columns.map((column) => column.name).join(', ')}`,
    })
  return at
}

function keyColumnAt(table: Table, name: string): number {
  const at = columnAt(table, name, 'id')
  if (!table.key.includes(at))
    throw new Failure('configuration', `id: ${name} is not part of the key of ${table.name}`, {
      remedy: `use columns of the key: ${table.key.map((each) => table.columns[each]?.name).join(', ')}`,
    })
  return at
}

const none: readonly Operation[] = []

/** `cells` is scratch. */
function operationsOf({ change, version }: Entry, plan: Plan, cells: Cell[]): readonly Operation[] {
  if (change.after !== undefined) {
    read(change.after, plan, cells)
    if (plan.matches?.(cells) ?? true) {
      const id = idOf(plan, cells)
      return [{ op: 'index', id, version, routing: undefined, body: inOnePiece(bodyOf(plan, cells)) }]
    }
  }
  // Without a document before there is none to delete.
  if (!hadDocument(change, plan, cells)) return none
  return [{ op: 'delete', id: idOf(plan, cells), version, routing: undefined, body: undefined }]
}

/** Whether the row before the change had a document; its cells are read then. */
function hadDocument(change: Change, plan: Plan, cells: Cell[]): boolean {
  if (change.before === undefined) return false
  read(change.before, plan, cells)
  return plan.matches?.(cells) ?? true
}

function read(row: Row, { table }: Plan, cells: Cell[]): void {
  unpackRow(row, table.columns.length, cells)
}

function idOf({ idColumns, idPrefix }: Plan, cells: readonly Cell[]): string {
  return documentId(
    idColumns.map((at) => cells[at]),
    idPrefix,
  )
}

function bodyOf({ steps, table }: Plan, cells: readonly Cell[]): string {
  let body = '{'
  for (const { at, before, dated, form } of steps) {
    const cell = cells[at]
    if (cell === undefined) throw absent(table, at)
    const isNull = cell === null || (dated && !isRealDate(cell))
    body += before + (isNull ? 'null' : form === undefined ? cell : form(cell))
  }
  body += '}'
  // Looking at a character makes one flat text of the many pieces: documents live until they are written, and pieces
  // would cost the garbage collector more than twice the time.
  if (body.charCodeAt(0) !== openBrace) throw new Error('a document begins with a brace')
  return body
}

const openBrace = 123

function absent(table: Table, at: number): Failure {
  return new Failure('unsupported', `${table.name}: a row without its column ${table.columns[at]?.name}`, {
    remedy: 'let the source show whole rows, and load the pipeline anew',
  })
}

/** Zero dates, dates with a zero in them and days that no calendar has: the source may hold them, an index cannot. */
function isRealDate(cell: string): boolean {
  // "YYYY-MM-DD in quotes
  const month = digits(cell, 6)
  const day = digits(cell, 9)
  if (month === 0 || day === 0 || month > 12) return false
  return day <= 28 || day <= (monthDays[month - 1] ?? 0) || (month === 2 && day === 29 && isLeapYear(cell))
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isLeapYear(cell: string): boolean {
  const year = Number(cell.slice(1, 5))
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

function digits(cell: string, at: number): number {
  return (cell.charCodeAt(at) - zero) * 10 + cell.charCodeAt(at + 1) - zero
}

const zero = 48
