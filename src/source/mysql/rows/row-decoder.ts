/**
 * Rows events: images of rows, made into records by a function that is compiled once for each definition of a table.
 *
 *   column count · bits of the columns that are present (an update has two such fields: before, after)
 *   · rows until the end; an update's row is two images
 *   image = bits of NULL columns · values one after the other
 *
 * The compiled function is straight-line code: place and width of every column stand in it as numbers. Only numbers that
 * this file computed become code; names, labels and values of the server never do.
 */
import type { Change } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import { operations, type RecordsBuilder } from '../../../change/records.ts'
import { writeAbsent, writeCell, writeNull, type ImageBytes } from '../values/cell.ts'
import type { ColumnType } from '../values/column-type.ts'
import { helpers, parameterOf, valueCode } from '../values/row-code.ts'
import { KeyCells } from './key-cells.ts'
import { cellWriterOf } from './row-writer.ts'
import type { TableMap } from './table-map.ts'
import { layoutOf, type WireColumn } from '../values/wire-column.ts'
import { WireReader } from '../values/wire-reader.ts'

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
  /** How many columns the table has. */
  readonly width: number
  /** Decodes images that show these columns, one bit for each; compiled when it is first asked for. */
  readonly showing: (present: Buffer) => DecodeImage
  /** The keys of the last two images. */
  readonly keys: readonly [KeyCells, KeyCells]
}

/** What becomes of one column of the image. */
export interface ColumnPlan {
  readonly column: WireColumn
  /** Undefined = left out. */
  readonly type: ColumnType | undefined
  readonly collation: number | undefined
  /** Its place in the key. */
  readonly keyAt: number | undefined
  /** Makes its cell unreadable. */
  readonly mask?: ((cell: string) => string) | undefined
}

/** Writes the row whose image is at `at` to the builder, notes where its key's cells are, and returns the image's end. */
type DecodeImage = (image: ImageBytes, at: number, builder: RecordsBuilder, key: KeyCells) => number

/**
 * Makes records of the event's changes, and returns how many rows the event holds. An update whose key changed becomes a
 * delete and an insert. `map.table` must not be undefined.
 * Columns that the image does not show are absent from the rows (binlog_row_image MINIMAL, NOBLOB).
 * Throws a Failure: `unsupported` for images that do not show the key, `corrupt`; what was made by then is of no use.
 */
export function rowsOf(map: TableMap, event: RowsEvent, builder: RecordsBuilder): number {
  try {
    return readRows(map, event, builder)
  } catch (error) {
    if (!isTooLong(error)) throw error
    throw new Failure('unsupported', `${map.schema}.${map.name}: a value of more than half a gigabyte`, {
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

function readRows(map: TableMap, event: RowsEvent, builder: RecordsBuilder): number {
  const { table, decoder } = map
  if (table === undefined || decoder === undefined)
    throw new Error(`${map.schema}.${map.name} is not captured`)
  const { body, to, committedAtMs, kind } = event
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const { at: start, decode, decodeAfter } = readHead(map, decoder, event)
  const image = { body, view, to }
  const writing = {
    image,
    context: { table, committedAtMs },
    decode,
    decodeAfter,
    keys: decoder.keys,
    builder,
  }
  let rows = 0
  for (let at = start; at < to; rows++) at = writeRow[kind](writing, at)
  return rows
}

interface RowWriting {
  readonly image: ImageBytes
  readonly context: Pick<Change, 'table' | 'committedAtMs'>
  readonly decode: DecodeImage
  /** Of an update's second image. */
  readonly decodeAfter: DecodeImage
  readonly keys: RowDecoder['keys']
  readonly builder: RecordsBuilder
}

/** Makes the record of the row at `at`, and returns the row's end. */
const writeRow = { insert: writeInsert, update: writeUpdate, delete: writeDelete }

function writeInsert({ image, context, decode, keys: [key], builder }: RowWriting, at: number): number {
  builder.begin()
  const afterAt = builder.at
  const end = decode(image, at, builder, key)
  const keyAt = builder.at
  demandKey(context, key)
  key.write(builder)
  builder.end(operations.insert, context, afterAt, keyAt)
  return end
}

function writeDelete({ image, context, decode, keys: [key], builder }: RowWriting, at: number): number {
  builder.begin()
  const end = decode(image, at, builder, key)
  const keyAt = builder.at
  demandKey(context, key)
  key.write(builder)
  builder.end(operations.delete, context, keyAt, keyAt)
  return end
}

function writeUpdate(writing: RowWriting, at: number): number {
  const { image, context, decode, decodeAfter, keys, builder } = writing
  const [key, keyAfter] = keys
  builder.begin()
  const middle = decode(image, at, builder, key)
  // An image after the change that shows no column has no bytes either.
  const afterAt = builder.at
  const end = decodeAfter(image, middle, builder, keyAfter)
  const keyAt = builder.at
  demandKey(context, key)
  keyAfter.fill(key)
  if (key.equals(keyAfter, builder.bytes)) {
    key.write(builder)
    builder.end(operations.update, context, afterAt, keyAt)
    return end
  }
  writeKeyChange(writing, middle, { afterAt, keyAt })
  return end
}

/** A delete of the key before and an insert of the key after, from the rows that were just written. */
function writeKeyChange(
  { image, context, decodeAfter, keys: [key, keyAfter], builder }: RowWriting,
  middle: number,
  { afterAt, keyAt }: { readonly afterAt: number; readonly keyAt: number },
): void {
  keyAfter.write(builder)
  const keyText = Buffer.from(builder.bytes.subarray(keyAt, builder.at))
  // The row after is written again, in a record of its own.
  builder.at = afterAt
  key.write(builder)
  builder.end(operations.delete, context, afterAt, afterAt)
  builder.begin()
  const insertedAt = builder.at
  decodeAfter(image, middle, builder, keyAfter)
  const insertedKeyAt = builder.at
  builder.room(keyText.length)
  builder.at += keyText.copy(builder.bytes, builder.at)
  builder.end(operations.insert, context, insertedAt, insertedKeyAt)
}

function demandKey({ table }: RowWriting['context'], key: KeyCells): void {
  if (key.isWhole) return
  throw new Failure('unsupported', `${table.name}: the binlog does not show the key of a changed row`, {
    remedy:
      'give the table a primary key, or SET GLOBAL binlog_row_image = FULL, end the sessions opened before, then load the table anew',
  })
}

interface RowsHead {
  /** Where the rows begin. */
  readonly at: number
  readonly decode: DecodeImage
  readonly decodeAfter: DecodeImage
}

/** Checks the head of the event against the table. */
function readHead(map: TableMap, decoder: RowDecoder, event: RowsEvent): RowsHead {
  const name = `${map.schema}.${map.name}`
  const reader = new WireReader(event.body, event.from, event.to, `a rows event of ${name}`)
  const width = reader.packed()
  if (width !== decoder.width)
    throw new Failure(
      'corrupt',
      `a rows event of ${name} has ${width} columns, its table map ${decoder.width}`,
    )
  const decode = decoder.showing(reader.bytes((width + 7) >> 3))
  const decodeAfter = event.kind === 'update' ? decoder.showing(reader.bytes((width + 7) >> 3)) : decode
  return { at: reader.at, decode, decodeAfter }
}

/** Compiles the decoder of a table. Throws a Failure, `unsupported`, for a column whose length is not known. */
export function compileDecoder(table: string, plans: readonly ColumnPlan[]): RowDecoder {
  const keyColumns = plans.filter(({ keyAt }) => keyAt !== undefined).length
  const whole = compileImage(table, plans, () => true)
  const partial = new Map<string, DecodeImage>()
  const showing = (present: Buffer): DecodeImage => {
    if (isWhole(present, plans.length)) return whole
    const name = present.toString('latin1')
    const known = partial.get(name)
    if (known !== undefined) return known
    // Each statement may show other columns, and there are more combinations than anybody meets.
    if (partial.size >= partialMax) partial.clear()
    const made = compileImage(table, plans, (column) => isShown(present, column))
    partial.set(name, made)
    return made
  }
  return { width: plans.length, showing, keys: [new KeyCells(keyColumns), new KeyCells(keyColumns)] }
}

const partialMax = 200

function isWhole(present: Buffer, columns: number): boolean {
  const whole = columns >> 3
  for (let at = 0; at < whole; at++) if (present[at] !== 0xff) return false
  const rest = (1 << (columns & 7)) - 1
  return ((present[whole] ?? 0) & rest) === rest
}

function isShown(present: Buffer, column: number): boolean {
  return ((present[column >> 3] ?? 0) & (1 << (column & 7))) !== 0
}

function compileImage(
  table: string,
  plans: readonly ColumnPlan[],
  shows: (column: number) => boolean,
): DecodeImage {
  const writers = plans.map(({ type, column, collation, mask }) =>
    type === undefined || mask !== undefined ? undefined : cellWriterOf(type, column, collation),
  )
  // The bits of NULL count the columns that the image shows.
  let shown = 0
  const code = plans.map((plan, index) =>
    shows(index)
      ? columnCode(table, plan, { index, bit: shown++, hasWriter: writers[index] !== undefined })
      : absentCode(plan),
  )
  const source = `
    'use strict'
    const { ${Object.keys(helpers).join(', ')} } = helpers
    const [${plans.map((_, index) => `write${index}`).join(', ')}] = writers
    return function decodeImage(image, start, builder, key) {
      const body = image.body, end = image.to
      let at = start + ${(shown + 7) >> 3}, size = 0, from = 0
      if (at > end) short()
      ${code.join('')}
      return at
    }`
  const uses = ['helpers', 'parameters', 'writers', 'masks', 'writeCell', 'writeNull', 'writeAbsent', 'short']
  // oxlint-disable-next-line typescript/no-implied-eval -- the text holds nothing but the numbers of this file
  const build = new Function(...uses, source)
  const parameters = plans.map(({ type, collation }) =>
    type === undefined ? undefined : parameterOf(type, collation),
  )
  const short = (): never => {
    throw new Failure('corrupt', `a row image of ${table} is cut short or overlong`)
  }
  const masks = plans.map(({ mask }) => mask)
  return build(helpers, parameters, writers, masks, writeCell, writeNull, writeAbsent, short) as DecodeImage
}

function absentCode({ type, keyAt }: ColumnPlan): string {
  if (type === undefined) return ''
  return keyAt === undefined ? 'writeAbsent(builder)\n' : `writeAbsent(builder); key.isAbsent(${keyAt})\n`
}

/** The statements that read one column. */
function columnCode(
  table: string,
  plan: ColumnPlan,
  { index, bit, hasWriter }: { readonly index: number; readonly bit: number; readonly hasWriter: boolean },
): string {
  const layout = layoutOf(plan.column)
  if (layout === undefined)
    throw new Failure(
      'unsupported',
      `${table}: column ${index + 1} is of an unknown type, code ${plan.column.code}`,
      {
        remedy: 'take the table out of the captured ones',
      },
    )
  const isNull = `(body[start + ${bit >> 3}] & ${1 << (bit & 7)}) !== 0`
  const isFixed = layout.prefix === 0
  const sizeCode = isFixed
    ? `if (at + ${layout.fixed} > end) short()`
    : `if (at + ${layout.prefix} > end) short()
       size = ${lengthCode(layout.prefix)}
       at += ${layout.prefix}
       if (at + size > end) short()`
  const size = isFixed ? layout.fixed : 'size'
  if (plan.type === undefined) return `if (!(${isNull})) { ${sizeCode}\n at += ${size} }\n`
  const cell = valueCode(plan.type, plan, index)
  const asString = `writeCell(builder, ${plan.mask === undefined ? cell : `masks[${index}](${cell})`})`
  const { keyAt } = plan
  return `
    if (${isNull}) {
      writeNull(builder)
      ${keyAt === undefined ? '' : `key.isNull(${keyAt})`}
    } else {
      ${sizeCode}
      ${keyAt === undefined ? '' : 'from = builder.at'}
      ${hasWriter ? `if (!write${index}(image, at, ${size}, builder)) ${asString}` : asString}
      at += ${size}
      ${keyAt === undefined ? '' : `key.is(${keyAt}, from, builder)`}
    }
  `
}

function lengthCode(bytes: number): string {
  const parts = ['body[at]', 'body[at + 1] * 256', 'body[at + 2] * 65536', 'body[at + 3] * 16777216']
  return parts.slice(0, bytes).join(' + ')
}
