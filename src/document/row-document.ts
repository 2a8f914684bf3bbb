/**
 * The document of a table's row: the cells of a row are JSON already, so a document is spliced from their bytes and never
 * parsed.
 *
 *   row  3 "7" ∙ 5 "Ada" ∙ NULL      plan  {"id":  ,"name":  ,"phone":       document  {"id":7,"name":"Ada","phone":null}
 */
import type { Key, Table } from '../change/change.ts'
import { copyBytes } from '../change/bytes.ts'
import { absentCell, cellAt, findCells, keyCells, nullCell, type Cell } from '../change/row.ts'
import type { Body } from '../sink/sink.ts'
import { documentId } from './document-id.ts'
import type { CompiledFilter } from './filter.ts'
import type { CellForm } from './form.ts'
import { placeColumns, placeOf, type Place, type PlacePlan } from './place.ts'

export interface RowDocumentPlan {
  /** The columns that the document shows, by their place in the table. */
  readonly fields: readonly {
    readonly field: string
    readonly at: number
    /** Undefined = the value stays as it is. */
    readonly form: CellForm | undefined
  }[]
  /** Whether the columns that are to be masked are, and no others: a row of other times is not shown. */
  readonly isMasked: boolean
  readonly idColumns: readonly number[]
  readonly idPrefix: string
  /** undefined = every row has a document. */
  readonly filter: CompiledFilter | undefined
  /** undefined = its id decides where it lies. */
  readonly place?: PlacePlan | undefined
}

interface Step {
  readonly at: number
  /** What stands before the value: `{"id":`, `,"name":`. */
  readonly before: Buffer
  readonly dated: boolean
  readonly form: CellForm | undefined
}

/** Stands on one row at a time: `read` goes to it, the other methods speak of it. */
export class RowDocument {
  readonly table: Table
  readonly #plan: RowDocumentPlan
  readonly #steps: readonly Step[]
  /** Bytes of a document besides its values. */
  readonly #frameBytes: number
  /** How often the document shows the column that it shows most often. */
  readonly #showings: number
  /** Columns that the document shows. */
  readonly #shown: readonly number[]
  readonly #placeColumns: readonly number[]
  readonly #spans: Int32Array
  readonly #cells: Cell[]
  readonly #idCells: Cell[]
  readonly #hasForms: boolean
  /** The object is the same each time. */
  readonly #into: { bytes: Buffer; at: number } = { bytes: Buffer.alloc(0), at: 0 }
  /** The row that this stands on, and where it begins and ends. */
  row: Buffer = Buffer.alloc(0)
  from = 0
  to = 0
  #hasAll = true

  constructor(table: Table, plan: RowDocumentPlan) {
    this.table = table
    this.#plan = plan
    this.#steps = plan.fields.map(({ field, at, form }, number) => ({
      at,
      before: Buffer.from(`${number === 0 ? '{' : ','}${JSON.stringify(field)}:`),
      dated: datedKinds.has(table.columns[at]?.kind ?? ''),
      form,
    }))
    this.#frameBytes = this.#steps.reduce((sum, { before }) => sum + before.length, 2)
    this.#shown = plan.fields.map(({ at }) => at)
    this.#showings = Math.max(0, ...this.#shown.map((at) => this.#shown.filter((each) => each === at).length))
    this.#placeColumns = plan.place === undefined ? [] : placeColumns(plan.place)
    this.#hasForms = plan.fields.some(({ form }) => form !== undefined)
    this.#idCells = plan.idColumns.map(() => null)
    this.#spans = new Int32Array(2 * table.columns.length)
    this.#cells = table.columns.map(() => undefined)
  }

  read(row: Buffer, from: number, to: number): void {
    this.row = row
    this.from = from
    this.to = to
    this.#hasAll = findCells(row, from, to, this.#spans)
  }

  /** Whether the row shows all that its document needs. */
  get isWhole(): boolean {
    return this.#plan.isMasked && (this.#hasAll || this.#showsNeeded())
  }

  /** Whether the row shows all that decides on whether it has a document. */
  get isDecided(): boolean {
    const { filter } = this.#plan
    return this.#hasAll || filter === undefined || this.#showsAll(filter.columns)
  }

  /** Whether the row has a document; to be asked only of a row that is decided. */
  get exists(): boolean {
    const { filter } = this.#plan
    if (filter === undefined) return true
    for (const column of filter.columns) this.#cells[column] = this.#cell(column)
    return filter.matches(this.#cells)
  }

  /** To be asked only of a row that is whole. */
  id(): string {
    const { idColumns, idPrefix } = this.#plan
    for (let at = 0; at < idColumns.length; at++) this.#idCells[at] = this.#cell(idColumns[at] ?? -1)
    return documentId(this.#idCells, idPrefix)
  }

  /** Whether more than its id decides where a document lies. */
  get isPlaced(): boolean {
    return this.#plan.place !== undefined
  }

  /** Whether the row shows where its document lies. */
  get showsPlace(): boolean {
    return this.#hasAll || this.#showsAll(this.#placeColumns)
  }

  /** To be asked only of a row that shows it. */
  place(): Place {
    const { place } = this.#plan
    return place === undefined ? { routing: undefined } : placeOf(place, (column) => this.#cell(column))
  }

  /** The id of the row with this key. */
  idOfKey(key: Key): string {
    const { idColumns, idPrefix } = this.#plan
    const cells = keyCells(key)
    return documentId(
      idColumns.map((column) => cells[this.table.key.indexOf(column)]),
      idPrefix,
    )
  }

  /** To be asked only of a row that is whole. */
  body(): Body {
    return new RowBody(this, this.#hasForms ? this.#steps.map((step) => this.#formed(step)) : noTexts)
  }

  /** What the document of a row of so many bytes takes at most, values in other forms not counted; each may be `null`. */
  bytesMaxOf(rowBytes: number): number {
    return this.#frameBytes + this.#showings * rowBytes + nullBytes.length * this.#steps.length
  }

  /** A value in another form than its own; undefined = it is not, or it is null. */
  #formed({ at, dated, form }: Step): string | undefined {
    if (form === undefined) return undefined
    const cell = this.#cell(at)
    const isNull =
      cell === null || cell === undefined || (dated && !isRealDate(this.row, this.#spans[2 * at] ?? 0))
    return isNull ? undefined : form(cell)
  }

  /** Writes the document of the row that `read` went to, and returns where it ends. */
  write(target: Buffer, start: number, formed: Formed = noTexts): number {
    const { row } = this
    const into = this.#into
    into.bytes = target
    into.at = start
    for (let number = 0; number < this.#steps.length; number++) {
      const step = this.#steps[number]
      if (step === undefined) break
      copyBytes(step.before, 0, step.before.length, into)
      const cellFrom = this.#spans[2 * step.at] ?? nullCell
      const text = formed[number]
      if (text !== undefined) into.at += target.write(text, into.at, 'latin1')
      else if (cellFrom < 0 || (step.dated && !isRealDate(row, cellFrom)))
        copyBytes(nullBytes, 0, nullBytes.length, into)
      else copyBytes(row, cellFrom, this.#spans[2 * step.at + 1] ?? 0, into)
    }
    let { at } = into
    if (at === start) target[at++] = openBrace
    target[at++] = closeBrace
    return at
  }

  #showsNeeded(): boolean {
    const { idColumns } = this.#plan
    return this.isDecided && this.showsPlace && this.#showsAll(idColumns) && this.#showsAll(this.#shown)
  }

  #showsAll(columns: readonly number[]): boolean {
    return columns.every((column) => this.#spans[2 * column] !== absentCell)
  }

  #cell(column: number): Cell {
    return cellAt(this.row, this.#spans, column)
  }
}

/** A document that is spliced when it is written: until then its row is all that it takes. */
class RowBody implements Body {
  readonly bytesMax: number
  readonly #document: RowDocument
  readonly #row: Buffer
  readonly #from: number
  readonly #to: number
  readonly #formed: Formed

  /** Of the row that the document stands on. */
  constructor(document: RowDocument, formed: Formed) {
    this.#formed = formed
    this.#document = document
    this.#row = document.row
    this.#from = document.from
    this.#to = document.to
    this.bytesMax = document.bytesMaxOf(document.to - document.from)
    for (const text of formed) this.bytesMax += text?.length ?? 0
  }

  write(target: Buffer, at: number): number {
    this.#document.read(this.#row, this.#from, this.#to)
    return this.#document.write(target, at, this.#formed)
  }
}

/** Values in other forms than their own, each under the number of its field. */
type Formed = readonly (string | undefined)[]
const noTexts: Formed = []

const nullBytes = Buffer.from('null')
const [openBrace, closeBrace] = [123, 125]

const datedKinds: ReadonlySet<string> = new Set(['date', 'datetime', 'timestamp'])

/** Zero dates, dates with a zero in them and days that no calendar has: the source may hold them, an index cannot. */
function isRealDate(row: Buffer, at: number): boolean {
  // "YYYY-MM-DD in quotes
  const month = digits(row, at + 6)
  const day = digits(row, at + 9)
  if (month === 0 || day === 0 || month > 12) return false
  return (
    day <= 28 ||
    day <= (monthDays[month - 1] ?? 0) ||
    (month === 2 && day === 29 && isLeapYear(100 * digits(row, at + 1) + digits(row, at + 3)))
  )
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

function digits(row: Buffer, at: number): number {
  return ((row[at] ?? 0) - zero) * 10 + (row[at + 1] ?? 0) - zero
}

const zero = 48
