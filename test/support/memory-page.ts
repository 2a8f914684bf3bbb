/** Rows in key order, as a chunk has them. */
import type { Key, Row } from '../../src/change/change.ts'
import { textOf } from '../../src/change/row.ts'
import type { Chunk, ChunkRequest } from '../../src/source/source.ts'

export function page(
  visible: ReadonlyMap<Key, Row>,
  { after, rowsMax, bytesMax }: ChunkRequest,
): Chunk['rows'] {
  const low = after === undefined ? undefined : keyValues(after)
  const rest = [...visible].map(([key, row]) => ({ key, row, values: keyValues(key) }))
  const sorted = rest
    .filter(({ values }) => low === undefined || compareKeys(values, low) > 0)
    .toSorted((a, b) => compareKeys(a.values, b.values))
  const chosen: { readonly key: Key; readonly row: Row }[] = []
  let bytes = 0
  for (const { key, row } of sorted) {
    bytes += key.length + row.length
    if (chosen.length > 0 && (chosen.length >= rowsMax || bytes > bytesMax)) break
    chosen.push({ key, row })
  }
  return chosen
}

/** Keys are JSON arrays that keyOf made. */
export function keyValues(key: Key): readonly unknown[] {
  return JSON.parse(textOf(key)) as unknown[]
}

/** Column by column: numbers by value, everything else by its text. */
export function compareKeys(left: readonly unknown[], right: readonly unknown[]): number {
  for (const [at, value] of left.entries()) {
    const other = right[at]
    if (value === other) continue
    if (typeof value === 'number' && typeof other === 'number') return value - other
    return String(value) < String(other) ? -1 : 1
  }
  return 0
}
