/**
 * PARTIAL_UPDATE_ROWS events (binlog_row_value_options = PARTIAL_JSON): updates in which a JSON column may hold the
 * differences to the value before instead of the value. An image after the change has more in front than others:
 *
 *   options (packed) · where their bit 1 is set: a bit for each JSON column of the table, set = differences
 *   · bits of NULL columns · values
 */
import { Failure } from '../../../change/failure.ts'
import { readRowsHeader, eventType, type BinlogEvent } from '../binlog/binlog-events.ts'
import { applyJsonDiffs } from '../values/json-diff.ts'
import type { TableMap } from './table-map.ts'
import { CODE, layoutOf, type WireColumn } from '../values/wire-column.ts'
import { WireReader } from '../values/wire-reader.ts'

/**
 * The same event as an UPDATE_ROWS that holds every value whole. A column whose differences have nothing to go by,
 * because the image before the change lacks it, is absent from the images after the change.
 * Throws a Failure, `corrupt`.
 */
export function wholeUpdate(event: BinlogEvent, map: TableMap): BinlogEvent {
  const plain = { ...event, type: eventType.updateRows }
  const { from } = readRowsHeader(plain)
  const reader = new WireReader(event.buffer, from, event.to, `a rows event of ${map.schema}.${map.name}`)
  const { columns } = map
  const width = reader.packed()
  if (width !== columns.length)
    throw new Failure(
      'corrupt',
      `${map.schema}.${map.name} has ${columns.length} columns, an update ${width}`,
    )
  const presentAt = reader.at
  const present = [0, 1].map(() => bitsOf(reader.bytes((width + 7) >> 3)))
  const [before = [], after = []] = present
  const rows: Row[] = []
  while (reader.left > 0) rows.push(readRow(reader, columns, before, after))
  const lacking = columns.map((_, index) => rows.some((row) => row.lacking.has(index)))
  const kept = columns.map((_, index) => after[index] === true && lacking[index] !== true)
  const bitBytes = (width + 7) >> 3
  const head = event.buffer.subarray(event.from, presentAt + bitBytes)
  const images = rows.flatMap((row) => [row.before, ...imageOf(row.after, kept)])
  const buffer = Buffer.concat([head, bytesOf(kept, width), ...images])
  return { ...plain, buffer, from: 0, to: buffer.length }
}

interface Row {
  /** The image as it stands in the event. */
  readonly before: Buffer
  /** By column, with their lengths in front; null = SQL NULL, undefined = absent. */
  readonly after: readonly Value[]
  /** Columns whose differences have nothing to go by. */
  readonly lacking: ReadonlySet<number>
}

type Value = Buffer | null | undefined

type Bits = readonly boolean[]

function readRow(reader: WireReader, columns: readonly WireColumn[], before: Bits, after: Bits): Row {
  const beforeFrom = reader.at
  const old = readValues(reader, columns, before)
  const image = reader.since(beforeFrom)
  const partial = readPartial(reader, columns)
  const lacking = new Set<number>()
  const young = readValues(reader, columns, after).map((value, index) => {
    if (partial[index] !== true || value === undefined || value === null) return value
    const base = old[index]
    if (base !== undefined && base !== null) return applied(base, value)
    lacking.add(index)
    return undefined
  })
  return { before: image, after: young, lacking }
}

/** By column: whether it holds differences. */
function readPartial(reader: WireReader, columns: readonly WireColumn[]): Bits {
  const options = reader.packed()
  if (options > 1)
    throw new Failure('unsupported', `an update with row value options ${options}, which are not known`, {
      remedy: "SET GLOBAL binlog_row_value_options = '', then load the pipelines of this source anew",
    })
  if (options === 0) return []
  const count = columns.filter(isJson).length
  const bits = bitsOf(reader.bytes((count + 7) >> 3))
  let json = 0
  return columns.map((column) => isJson(column) && bits[json++] === true)
}

function readValues(reader: WireReader, columns: readonly WireColumn[], present: Bits): readonly Value[] {
  const count = columns.filter((_, index) => present[index] === true).length
  const nulls = bitsOf(reader.bytes((count + 7) >> 3))
  let place = 0
  return columns.map((column, index) => {
    if (present[index] !== true) return undefined
    return nulls[place++] === true ? null : readValue(reader, column)
  })
}

function readValue(reader: WireReader, column: WireColumn): Buffer {
  const layout = layoutOf(column)
  if (layout === undefined)
    throw new Failure('unsupported', `a column of an unknown type, code ${column.code}`, {
      remedy: 'take its table out of the captured ones',
    })
  const from = reader.at
  reader.skip(layout.prefix === 0 ? layout.fixed : reader.integer(layout.prefix))
  return reader.since(from)
}

/** Four bytes of length, and the document. */
function applied(base: Buffer, diffs: Buffer): Buffer {
  // Without differences the value stayed as it was, which may also be the nothing that stands for a null.
  if (diffs.length === lengthBytes) return base
  const document = applyJsonDiffs(base.subarray(lengthBytes), diffs.subarray(lengthBytes))
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32LE(document.length)
  return Buffer.concat([length, document])
}

const lengthBytes = 4

function imageOf(values: readonly Value[], kept: Bits): readonly Buffer[] {
  const shown = values.filter((_, index) => kept[index] === true)
  return [
    bytesOf(
      shown.map((value) => value === null),
      shown.length,
    ),
    ...shown.filter((value) => value !== null && value !== undefined),
  ]
}

function isJson({ code }: WireColumn): boolean {
  return code === CODE.json
}

function bitsOf(bytes: Buffer): Bits {
  return Array.from(
    { length: bytes.length * 8 },
    (_, bit) => ((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0,
  )
}

function bytesOf(bits: Bits, count: number): Buffer {
  const bytes = Buffer.alloc((count + 7) >> 3)
  for (const [bit, isSet] of bits.entries())
    if (isSet) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7))
  return bytes
}
