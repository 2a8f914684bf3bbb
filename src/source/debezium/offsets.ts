/**
 * A place in the topics, as one short text that others keep without reading it:
 *
 *   {"topics": {NAME: {"id": which topic of that name, "next": [the next offset of each partition, as text]}}}
 */
import type { Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'

export interface TopicOffsets {
  readonly id: string
  readonly next: readonly bigint[]
}

export type Offsets = ReadonlyMap<string, TopicOffsets>

export function positionOf(offsets: Offsets): Position {
  const topics = [...offsets]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, { id, next }]) => [name, { id, next: next.map(String) }])
  return JSON.stringify({ topics: Object.fromEntries(topics) as unknown }) as Position
}

/** Throws a Failure where the text is no position of this source. */
export function parseOffsets(position: Position): Offsets {
  let parsed: unknown
  try {
    parsed = JSON.parse(position)
  } catch {
    parsed = undefined
  }
  if (typeof parsed !== 'object' || parsed === null || !('topics' in parsed))
    throw new Failure('corrupt', 'the log holds a position that is not one of topics', {
      remedy: 'give a source of another kind another name: each has a log of its own',
    })
  // Written by positionOf.
  const { topics } = parsed as { topics: Record<string, { id: string; next: readonly string[] }> }
  return new Map(Object.entries(topics).map(([name, { id, next }]) => [name, { id, next: next.map(BigInt) }]))
}

/** Whether everything in `other` is in `offsets` too. */
export function coversOffsets(offsets: Offsets, other: Offsets): boolean {
  return [...other].every(([name, { id, next }]) => {
    const own = offsets.get(name)
    if (own === undefined) return next.every((offset) => offset === 0n)
    return own.id === id && next.every((offset, partition) => (own.next[partition] ?? 0n) >= offset)
  })
}

/** For people: `shop.orders 17 0 4`. */
export function showOffsets(position: Position): string {
  return [...parseOffsets(position)].map(([name, { next }]) => `${name} ${next.join(' ')}`).join(', ')
}

/** Whether it is a position of this kind of source. */
export function isOffsets(position: string): boolean {
  return position.startsWith('{"topics":')
}
