/**
 * Each key's life as a topic tells it: every change's image before must be the image after of the change before it. A change
 * that was lost, doubled or put in another order breaks the chain.
 */
import { isDeepStrictEqual } from 'node:util'
import type { TopicChange } from './topic-changes.ts'

export interface TopicChain {
  readonly breaks: readonly string[]
  /** What is left at the end, by key as JSON. */
  readonly rows: ReadonlyMap<string, unknown>
}

/** `changes` in the order of each partition, from an empty table on. */
export function topicChainOf(changes: readonly TopicChange[]): TopicChain {
  const rows = new Map<string, unknown>()
  const breaks: string[] = []
  for (const { key, before, after, op, version } of changes) {
    const name = JSON.stringify(key)
    if (!isDeepStrictEqual(rows.get(name) ?? null, before ?? null))
      breaks.push(`${name}: ${op} of version ${version} does not follow from the change before it`)
    if (after === null || after === undefined) rows.delete(name)
    else rows.set(name, after)
  }
  return { breaks, rows }
}
