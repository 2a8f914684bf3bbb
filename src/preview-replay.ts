/** What a replay would touch, found without a daemon. */
import type { Key } from './change/change.ts'
import { keyFrom } from './change/key.ts'
import type { Parts, ReplayPreview } from './cli/parts.ts'
import type { Pipeline } from './config/pipeline.ts'
import { isAddressedTo } from './log/log.ts'
import { everyKey, gatherKeys, type KeyPart } from './pipeline/replay-keys.ts'
import { usualReplayLimits } from './pipeline/replay.ts'
import { stretchOf } from './replay.ts'
import { systemClock } from './system-clock.ts'
import type { Workshop } from './workshop.ts'

export async function* previewReplay(
  workshop: Workshop,
  pipeline: Pipeline,
  { addressee, only, ...place }: Parameters<Parts['previewReplay']>[1],
  signal: AbortSignal,
): AsyncGenerator<Key, ReplayPreview> {
  const log = await workshop.readLog(pipeline.source)
  const source = await workshop.openSource(pipeline.source, [pipeline.definition.table])
  try {
    const { table } = await source.describe(pipeline.definition.table)
    const wanted = only === undefined ? undefined : new Set(only.map((text) => keyFrom(table, text)))
    const stretch = await stretchOf({ name: pipeline.source, source, log }, place, systemClock.now())
    const groups = (await log.groups()).map(({ name }) => name)
    const addressed = groups.filter((name) => isAddressedTo(addressee, name))
    const whole = { ...stretch, table, groups: addressed, only: wanted }
    let [records, barriers]: [number, readonly string[]] = [0, []]
    const waiting: KeyPart[] = [everyKey]
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      signal.throwIfAborted()
      const gathered = await gatherKeys(log, whole, { part, keysMax: usualReplayLimits.keysMax })
      waiting.unshift(...gathered.others)
      ;({ records, barriers } = gathered)
      yield* gathered.keys
    }
    return { from: stretch.from, to: stretch.to, records, barriers }
  } finally {
    await source.close()
    await log.close()
  }
}
