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
import type { Change } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { operations, type RecordsBuilder } from '../../change/records.ts'
import { writeCell, writeNull, type ImageBytes } from './cell.ts'
import type { ColumnType } from './column-type.ts'
import { helpers, parameterOf, valueCode } from './row-code.ts'
import { KeyCells } from './key-cells.ts'
import { cellWriterOf } from './row-writer.ts'
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
}

/** Writes the row whose image is at `at` to the builder, notes where its key's cells are, and returns the image's end. */
type DecodeImage = (image: ImageBytes, at: number, builder: RecordsBuilder, key: KeyCells) => number

/**
 * Makes records of the event's changes, and returns how many rows the event holds. An update whose key changed becomes a
 * delete and an insert. `map.table` must not be undefined.
 * Throws a Failure: `unsupported` for images without all columns, `corrupt`; what was made by then is of no use.
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
  const writing = { image: { body, view, to }, context: { table, committedAtMs }, decoder, builder }
  let rows = 0
  for (let at = headerEnd(map, event); at < to; rows++) at = writeRow[kind](writing, at)
  return rows
}

interface RowWriting {
  readonly image: ImageBytes
  readonly context: Pick<Change, 'table' | 'committedAtMs'>
  readonly decoder: RowDecoder
  readonly builder: RecordsBuilder
}

/** Makes the record of the row at `at`, and returns the row's end. */
const writeRow = { insert: writeInsert, update: writeUpdate, delete: writeDelete }

function writeInsert({ image, context, decoder, builder }: RowWriting, at: number): number {
  builder.begin()
  const afterAt = builder.at
  const [key] = decoder.keys
  const end = decoder.decode(image, at, builder, key)
  const keyAt = builder.at
  key.write(builder)
  builder.end(operations.insert, context, afterAt, keyAt)
  return end
}

function writeDelete({ image, context, decoder, builder }: RowWriting, at: number): number {
  builder.begin()
  const [key] = decoder.keys
  const end = decoder.decode(image, at, builder, key)
  const keyAt = builder.at
  key.write(builder)
  builder.end(operations.delete, context, keyAt, keyAt)
  return end
}

function writeUpdate({ image, context, decoder, builder }: RowWriting, at: number): number {
  const [key, keyAfter] = decoder.keys
  builder.begin()
  const middle = decoder.decode(image, at, builder, key)
  if (middle >= image.to)
    throw new Failure('corrupt', `an update of ${context.table.name} has no image after`)
  const afterAt = builder.at
  const end = decoder.decode(image, middle, builder, keyAfter)
  const keyAt = builder.at
  if (key.equals(keyAfter, builder.bytes)) {
    key.write(builder)
    builder.end(operations.update, context, afterAt, keyAt)
    return end
  }
  // The row after is written again, in a record of its own.
  builder.at = afterAt
  key.write(builder)
  builder.end(operations.delete, context, afterAt, afterAt)
  builder.begin()
  const insertedAt = builder.at
  decoder.decode(image, middle, builder, keyAfter)
  const insertedKeyAt = builder.at
  keyAfter.write(builder)
  builder.end(operations.insert, context, insertedAt, insertedKeyAt)
  return end
}

/** Checks the head of the event against the table; where the rows begin. */
function headerEnd(map: TableMap, event: RowsEvent): number {
  const name = `${map.schema}.${map.name}`
  const reader = new WireReader(event.body, event.from, event.to, `a rows event of ${name}`)
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
  const writers = plans.map(({ type, column, collation }) =>
    type === undefined ? undefined : cellWriterOf(type, column, collation),
  )
  const code = plans
    .map((plan, index) => columnCode(table, plan, index, writers[index] !== undefined))
    .join('')
  const source = `
    'use strict'
    const { ${Object.keys(helpers).join(', ')} } = helpers
    const [${plans.map((_, index) => `write${index}`).join(', ')}] = writers
    return function decodeImage(image, start, builder, key) {
      const body = image.body, end = image.to
      let at = start + ${(plans.length + 7) >> 3}, size = 0, from = 0
      if (at > end) short()
      ${code}
      return at
    }`
  // oxlint-disable-next-line typescript/no-implied-eval -- the text holds nothing but the numbers of this file
  const build = new Function('helpers', 'parameters', 'writers', 'writeCell', 'writeNull', 'short', source)
  const parameters = plans.map(({ type, collation }) =>
    type === undefined ? undefined : parameterOf(type, collation),
  )
  const short = (): never => {
    throw new Failure('corrupt', `a row image of ${table} is cut short or overlong`)
  }
  const decode = build(helpers, parameters, writers, writeCell, writeNull, short) as DecodeImage
  const keyColumns = plans.filter(({ keyAt }) => keyAt !== undefined).length
  return { width: plans.length, decode, keys: [new KeyCells(keyColumns), new KeyCells(keyColumns)] }
}

/** The statements that read one column. */
function columnCode(table: string, plan: ColumnPlan, index: number, hasWriter: boolean): string {
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
  const isFixed = layout.prefix === 0
  const sizeCode = isFixed
    ? `if (at + ${layout.fixed} > end) short()`
    : `if (at + ${layout.prefix} > end) short()
       size = ${lengthCode(layout.prefix)}
       at += ${layout.prefix}
       if (at + size > end) short()`
  const size = isFixed ? layout.fixed : 'size'
  if (plan.type === undefined) return `if (!(${isNull})) { ${sizeCode}\n at += ${size} }\n`
  const asString = `writeCell(builder, ${valueCode(plan.type, plan, index)})`
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
