/**
 * Cells written straight into records, for the kinds of columns that are met most: no string is made of them. Each does
 * what the function of values.ts does that makes the cell as a string, byte for byte; what is rare (a broken value, a
 * long one) is left to that function.
 */
import { packCell } from '../../../change/row.ts'
import type { CellWriter } from '../values/cell.ts'
import type { ByKind, ColumnType } from '../values/column-type.ts'
import { enumCells, type EnumCells } from '../values/enum-labels.ts'
import { decimalWriter, integerWriter, longWriter, writeDouble, writeFloat } from '../values/number-writer.ts'
import { datetimeWriter, timestampWriter, timeWriter, writeDate } from '../values/temporal-writer.ts'
import { binaryWriter, textWriter } from '../values/text-writer.ts'
import { CODE, isCompressed, type WireColumn } from '../values/wire-column.ts'

/** The writer for a column; undefined = its cells are made as strings. */
export function cellWriterOf(
  type: ColumnType,
  column: WireColumn,
  collation: number | undefined,
): CellWriter | undefined {
  if (isCompressed(column)) return undefined
  // A type is always given to the writer of its own kind, which the compiler cannot see.
  const ofKind = writers(column, collation)[type.kind] as ((type: ColumnType) => CellWriter) | undefined
  return ofKind?.(type)
}

function writers(column: WireColumn, collation: number | undefined): Partial<ByKind<CellWriter | undefined>> {
  const text = (): CellWriter | undefined => textWriter(collation)
  const { code, metadata } = column
  return {
    integer: ({ bytes, unsigned }) => (bytes === 8 ? longWriter(unsigned) : integerWriter(bytes, unsigned)),
    decimal: ({ precision, scale }) => decimalWriter(precision, scale),
    float: () => writeFloat,
    double: () => writeDouble,
    date: () => writeDate,
    datetime: () => (code === CODE.datetime2 ? datetimeWriter(metadata) : undefined),
    timestamp: () => (code === CODE.timestamp2 ? timestampWriter(metadata) : undefined),
    time: () => (code === CODE.time2 ? timeWriter(metadata) : undefined),
    string: text,
    text,
    binary: ({ fixed, bytes }) => binaryWriter(fixed ? bytes : 0),
    blob: () => binaryWriter(0),
    enum: (type) => labelWriter(enumCells(type), metadata),
  }
}

function labelWriter({ texts }: EnumCells, bytes: number): CellWriter {
  const cells = texts.map((text) => (text === undefined ? text : Buffer.from(packCell(text), 'latin1')))
  return ({ body }, at, _size, builder) => {
    const label = cells[bytes === 1 ? (body[at] ?? 0) : body.readUInt16LE(at)]
    if (label === undefined) return false
    const out = builder.room(label.length)
    let to = builder.at
    for (let index = 0; index < label.length; index++) out[to++] = label[index] ?? 0
    builder.at = to
    return true
  }
}
