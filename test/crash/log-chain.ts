/**
 * Reads a whole log and follows each key's life: every change's image before must be the image after of the change before
 * it. A change that was lost, doubled or put in another order breaks the chain.
 */
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { Change, Row } from '../../src/change/change.ts'

export interface Chain {
  readonly changes: number
  readonly breaks: readonly string[]
}

/** Nobody else may have the log open. */
export async function followChain(directory: string, table: string): Promise<Chain> {
  const log = await openEmbeddedLog({ directory })
  try {
    await log.tail()
    const { oldest, next } = await log.retention()
    await log.define({ name: 'chain@test', tables: [table], at: oldest, attributes: {} })
    const control = await log.control()
    const left = new Set(Array.from({ length: control?.lanes ?? 0 }, (_, lane) => lane))
    const chain = new ChainWalk()
    const end = new AbortController()
    for await (const batch of log.read('chain@test', end.signal)) {
      for (const { change } of batch.entries) chain.follow(batch.lane, change)
      if (batch.barrier?.effect?.kind === 'emptied') chain.empty(batch.lane)
      if (batch.next >= next) left.delete(batch.lane)
      if (left.size === 0) break
    }
    await log.forget('chain@test')
    return chain
  } finally {
    await log.close()
  }
}

class ChainWalk implements Chain {
  readonly breaks: string[] = []
  changes = 0
  /** By lane. */
  readonly #rows = new Map<number, Map<string, Row | undefined>>()

  follow(lane: number, change: Change): void {
    this.changes++
    const rows = this.#rows.get(lane) ?? new Map<string, Row | undefined>()
    this.#rows.set(lane, rows)
    if (rows.has(change.key) && rows.get(change.key) !== change.before) {
      this.breaks.push(`key ${change.key}: a ${change.op} does not follow from the change before it`)
    }
    rows.set(change.key, change.after)
  }

  /** None of the lane's rows is there any more. */
  empty(lane: number): void {
    const rows = this.#rows.get(lane)
    for (const key of rows?.keys() ?? []) rows?.set(key, undefined)
  }
}
