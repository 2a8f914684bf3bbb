/**
 * Changes as JSON for everybody: key and value as Debezium writes them without schemas, our documented forms of values
 * inside. Written from packed rows by copying, and read back into packed rows by the definition of the table: what a
 * row holds comes back to the byte.
 *
 *   key    {"id":42}
 *   value  {"before":{...}|null,"after":{...}|null,"source":{...,"ts_ms":...},"op":"c","ts_ms":...,"transaction":null}
 *
 * An absent column is left out. A JSON null, which is not SQL NULL, looks like one: a header of its own names it.
 */
import type { Column, Key, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { operations } from '../../change/records.ts'
import { keyCells } from '../../change/row.ts'

/** As they stand in the `op` of an envelope, by the number of the operation. */
const opNames: Readonly<Record<number, string>> = {
  [operations.insert]: 'c',
  [operations.read]: 'r',
  [operations.update]: 'u',
  [operations.delete]: 'd',
  [operations.touch]: 'touch',
}
const opNumbers = new Map(Object.entries(opNames).map(([number, name]) => [name, Number(number)]))

export function opName(operation: number): string {
  const name = opNames[operation]
  if (name === undefined) throw new Failure('unsupported', `a record has the unknown operation ${operation}`)
  return name
}

/** undefined = there is none of that name. */
export function opNumber(name: string): number | undefined {
  return opNumbers.get(name)
}

export const beforeName = Buffer.from('{"before":')
export const afterName = Buffer.from(',"after":')
export const nullText = Buffer.from('null')

/** How a column's member of an object begins. */
export function memberName({ name }: Column): string {
  return `${JSON.stringify(name)}:`
}

/** The key of a record of this table, as `EnvelopeWriter.writeKey` writes it. */
export function keyBytes(table: Table, key: Key): Buffer {
  const cells = keyCells(key)
  const members = table.key.map((at, number) => {
    const column = table.columns[at]
    const name = column === undefined ? '' : Buffer.from(memberName(column)).toString('latin1')
    return `${name}${cells[number] ?? 'null'}`
  })
  return Buffer.from(`{${members.join(',')}}`, 'latin1')
}

/** Whether the JSON text is null. */
export function isNull(bytes: Buffer, from: number, to: number): boolean {
  return to - from === 4 && bytes[from] === 0x6e
}

/** Where the JSON value that begins at `from` ends. */
export function endOfValue(bytes: Buffer, from: number, end: number): number {
  let depth = 0
  for (let at = from; at < end; at++) {
    const sign = bytes[at]
    if (sign === 0x22) {
      at = endOfString(bytes, at)
    } else if (sign === 0x7b || sign === 0x5b) depth++
    else if (sign === 0x2c && depth === 0) return at
    else if (sign === 0x7d || sign === 0x5d) {
      if (depth === 0) return at
      depth--
    }
  }
  return end
}

/** At the closing quote of the string whose opening one is at `from`. */
function endOfString(bytes: Buffer, from: number): number {
  const short = Math.min(bytes.length, from + shortBytes)
  let at = from + 1
  for (; at < short; at++) {
    const sign = bytes[at]
    if (sign === 0x22) return at
    if (sign === 0x5c) at++
  }
  return endOfLongString(bytes, at)
}

/** Up to here a loop beats a call of the runtime. */
const shortBytes = 48

function endOfLongString(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(0x22, from); at >= 0; at = bytes.indexOf(0x22, at + 1)) {
    let slashes = 0
    while (at - 1 - slashes >= from && bytes[at - 1 - slashes] === 0x5c) slashes++
    if (slashes % 2 === 0) return at
  }
  return bytes.length
}
