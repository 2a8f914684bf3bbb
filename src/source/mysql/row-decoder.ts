/**
 * Rows events: images of rows, made into changes by a function that is compiled once for each definition of a table.
 *
 *   column count · bits of the columns that are present (an update has two such fields: before, after)
 *   · rows until the end; an update's row is two images
 *   image = bits of NULL columns · values one after the other
 *
 * The compiled function is straight-line code: place and width of every column stand in it as numbers. Only numbers that
 * this file computed become code; names, labels and values of the server never do.
 */
import type { Change, Key, Row, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { inOnePiece, packCell } from '../../change/row.ts'
import type { ColumnType } from './column-type.ts'
import { helpers, parameterOf, valueCode } from './row-code.ts'
import type { TableMap } from './table-map.ts'
import { layoutOf, type WireColumn } from './wire-column.ts'
import { WireReader } from './wire-reader.ts'

/** One WRITE_ROWS, UPDATE_ROWS or DELETE_ROWS event. */
export interface RowsEvent {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly body: Buffer
  /** Where the column count begins: after table id, flags and the extra data of version 2. */
  readonly from: number
  /** The end, without the checksum. */
  readonly to: number
  /** In milliseconds since 1970. */
  readonly committedAtMs: number
}

/** A table's compiled decoder. */
export interface RowDecoder {
  /** How many columns an image has. */
  readonly width: number
  readonly decode: DecodeImage
}

/** What becomes of one column of the image. */
export interface ColumnPlan {
  readonly column: WireColumn
  /** Undefined = left out. */
  readonly type: ColumnType | undefined
  readonly collation: number | undefined
  /** Its place in the key. */
  readonly keyAt: number | undefined
}

/** Reads the image at `out.at`, leaves its end there and its key in `out.key`. `text` is `body`, a character a byte. */
type DecodeImage = (body: Buffer, text: string, out: ImageEnd) => Row

interface ImageEnd {
  at: number
  key: Key
}

/**
 * Appends the event's changes to `into`, and returns how many rows the event holds. An update whose key changed becomes a
 * delete and an insert. `map.table` must not be undefined.
 * Throws a Failure: `unsupported` for images without all columns, `corrupt`.
 */
export function rowsOf(map: TableMap, event: RowsEvent, into: Change[]): number {
  try {
    return readRows(map, event, into)
  } catch (error) {
    if (!isTooLong(error)) throw error
    throw new Failure('unsupported', `${map.schema}.${map.name}: a row image of more than half a gigabyte`, {
      remedy: "exclude the table's largest column",
      cause: error,
    })
  }
}

/** The engine's strings end at half a gigabyte; it says so in two ways. */
function isTooLong(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (
    error.message === 'Invalid string length' || ('code' in error && error.code === 'ERR_STRING_TOO_LONG')
  )
}

function readRows(map: TableMap, event: RowsEvent, into: Change[]): number {
  const { table, decoder } = map
  if (table === undefined || decoder === undefined)
    throw new Error(`${map.schema}.${map.name} is not captured`)
  const { committedAtMs, kind } = event
  const body = event.body.subarray(event.from, event.to)
  const out: ImageEnd = { at: headerEnd(map, body, event), key: '' as Key }
  const text = body.toString('latin1')
  const images = new Images()
  while (out.at < body.length) images.add(decoder.decode(body, text, out), out.key)
  const { keys, rows } = images.cut()
  if (kind === 'update') return pushUpdates(table, committedAtMs, { keys, rows }, into)
  for (const [at, image] of rows.entries()) {
    const key = keys[at] ?? out.key
    if (kind === 'insert')
      into.push({ table, committedAtMs, op: 'insert', key, before: undefined, after: image })
    else into.push({ table, committedAtMs, op: 'delete', key, before: image, after: undefined })
  }
  return rows.length
}

/** Images come in pairs, before and after. */
function pushUpdates(table: Table, committedAtMs: number, images: Cut, into: Change[]): number {
  const { keys, rows } = images
  if (rows.length % 2 !== 0) throw new Failure('corrupt', `an update of ${table.name} has no image after`)
  for (let at = 0; at < rows.length; at += 2) {
    const [before, after, key, keyAfter] = [rows[at], rows[at + 1], keys[at], keys[at + 1]]
    if (before === undefined || after === undefined || key === undefined || keyAfter === undefined) break
    if (key === keyAfter) {
      into.push({ table, committedAtMs, op: 'update', key, before, after })
    } else {
      into.push({ table, committedAtMs, op: 'delete', key, before, after: undefined })
      into.push({ table, committedAtMs, op: 'insert', key: keyAfter, before: undefined, after })
    }
  }
  return rows.length / 2
}

interface Cut {
  readonly keys: readonly Key[]
  readonly rows: readonly Row[]
}

/** The images of one event, joined to one text from which each is a slice: they live and die together. */
class Images {
  #text = ''
  readonly #ends: number[] = []
  readonly #keys: Key[] = []

  add(image: Row, key: Key): void {
    this.#text += image
    this.#ends.push(this.#text.length)
    this.#keys.push(key)
  }

  cut(): Cut {
    const text = inOnePiece(this.#text)
    let from = 0
    const rows = this.#ends.map((end) => text.slice(from, (from = end)) as Row)
    return { keys: this.#keys, rows }
  }
}

/** Checks the head of the event against the table; where the rows begin. */
function headerEnd(map: TableMap, body: Buffer, event: RowsEvent): number {
  const name = `${map.schema}.${map.name}`
  const reader = new WireReader(body, 0, body.length, `a rows event of ${name}`)
  const width = reader.packed()
  if (width !== map.decoder?.width)
    throw new Failure(
      'corrupt',
      `a rows event of ${name} has ${width} columns, its table map ${map.decoder?.width}`,
    )
  for (let images = event.kind === 'update' ? 2 : 1; images > 0; images--) {
    const present = reader.bytes((width + 7) >> 3)
    for (let column = 0; column < width; column++)
      if (((present[column >> 3] ?? 0) & (1 << (column & 7))) === 0)
        throw new Failure('unsupported', `${name}: the binlog lacks columns of a changed row`, {
          remedy:
            'SET GLOBAL binlog_row_image = FULL, end the sessions opened before, then load the table anew',
        })
  }
  return reader.at
}

/** Compiles the decoder of a table. Throws a Failure, `unsupported`, for a column whose length is not known. */
export function compileDecoder(table: string, plans: readonly ColumnPlan[]): RowDecoder {
  const code = plans.map((plan, index) => columnCode(table, plan, index)).join('')
  const keys = plans.flatMap(({ keyAt }) => (keyAt === undefined ? [] : [keyAt])).toSorted((a, b) => a - b)
  const source = `
    'use strict'
    const { ${Object.keys(helpers).join(', ')} } = helpers
    return function decodeImage(body, text, out) {
      const start = out.at, end = body.length
      let at = start + ${(plans.length + 7) >> 3}, size = 0, cell = '', row = ''
      if (at > end) short()
      ${keys.map((key) => `let key${key} = 'null'`).join('\n')}
      ${code}
      out.at = at
      out.key = '[' + ${keys.map((key) => `key${key}`).join(` + ',' + `)} + ']'
      return row
    }`
  // oxlint-disable-next-line typescript/no-implied-eval -- the text holds nothing but the numbers of this file
  const build = new Function('helpers', 'parameters', 'codes', 'packCell', 'short', source)
  const parameters = plans.map(({ type, collation }) =>
    type === undefined ? undefined : parameterOf(type, collation),
  )
  const short = (): never => {
    throw new Failure('corrupt', `a row image of ${table} is cut short or overlong`)
  }
  const decode = build(helpers, parameters, LENGTH_CODES, packCell, short) as DecodeImage
  return { width: plans.length, decode }
}

/** The statements that read one column. */
function columnCode(table: string, plan: ColumnPlan, index: number): string {
  const layout = layoutOf(plan.column)
  if (layout === undefined)
    throw new Failure(
      'unsupported',
      `${table}: column ${index + 1} is of an unknown type, code ${plan.column.code}`,
      {
        remedy: 'take the table out of the captured ones',
      },
    )
  const isNull = `(body[start + ${index >> 3}] & ${1 << (index & 7)}) !== 0`
  const sizeCode =
    layout.prefix === 0
      ? `if (at + ${layout.fixed} > end) short()`
      : `if (at + ${layout.prefix} > end) short()
         size = ${lengthCode(layout.prefix)}
         at += ${layout.prefix}
         if (at + size > end) short()`
  const advance = `at += ${layout.prefix === 0 ? layout.fixed : 'size'}`
  if (plan.type === undefined) return `if (!(${isNull})) { ${sizeCode}\n ${advance} }\n`
  return `
    if (${isNull}) row += '\\0'
    else {
      ${sizeCode}
      cell = ${valueCode(plan.type, plan, index)}
      ${advance}
      row += cell.length < ${LENGTH_CODES.length - 2} ? codes[cell.length + 2] + cell : packCell(cell)
      ${plan.keyAt === undefined ? '' : `key${plan.keyAt} = cell`}
    }
  `
}

function lengthCode(bytes: number): string {
  const parts = ['body[at]', 'body[at + 1] * 256', 'body[at + 2] * 65536', 'body[at + 3] * 16777216']
  return parts.slice(0, bytes).join(' + ')
}

/** The packed row's length codes of all but large cells. */
const LENGTH_CODES: readonly string[] = Array.from({ length: 4096 }, (_, code) =>
  code < 2 ? '' : packCell('x'.repeat(code - 2)).slice(0, code < 128 ? 1 : 2),
)
