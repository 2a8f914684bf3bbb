/** What a replay would touch, found without a daemon. */
import type { Key } from '../change/change.ts'
import { keyFrom } from '../change/key.ts'
import type { OpenSource, Parts, ReplayPreview } from '../cli/parts.ts'
import type { Pipeline } from '../config/pipeline.ts'
import { isJoined } from '../document/joins.ts'
import { readingBounds, rootSearchParts } from '../parts/joined.ts'
import { isAddressedTo, type LogAdmin } from '../log/log.ts'
import { positionIn } from '../pipeline/capture/appender.ts'
import { everyKey, gatherKeys, type KeyPart, type Stretch } from '../pipeline/replay/replay-keys.ts'
import { followedRoots } from '../pipeline/replay/replay-roots.ts'
import { usualReplayLimits } from '../pipeline/replay/replay.ts'
import { RootSearch } from '../pipeline/deriving/root-search.ts'
import { stretchOf } from '../parts/stretch.ts'
import type { Source } from '../source/source.ts'
import { systemClock } from '../system-clock.ts'
import { tablesOf, type Workshop } from '../parts/workshop.ts'

const { keysMax } = usualReplayLimits

/** Each key once, unless there are more than can be remembered: then a row may come again for its joined rows. */
export async function* previewReplay(
  workshop: Workshop,
  pipeline: Pipeline,
  { addressee, only, ...place }: Parameters<Parts['previewReplay']>[1],
  signal: AbortSignal,
): AsyncGenerator<Key, ReplayPreview> {
  const log = await workshop.readLog(pipeline.source)
  const source = await workshop.openSource(pipeline.source, tablesOf([pipeline]))
  try {
    const { table } = await source.describe(pipeline.definition.table)
    const wanted = only === undefined ? undefined : new Set(only.map((text) => keyFrom(table, text)))
    const stretch = await stretchOf({ name: pipeline.source, source, log }, place, systemClock.now())
    const groups = (await log.groups()).map(({ name }) => name)
    const addressed = groups.filter((name) => isAddressedTo(addressee, name))
    const whole = { ...stretch, table, groups: addressed, only: wanted }
    const known = new Set<Key>()
    const own = yield* ownKeys(log, whole, known, signal)
    const search = await searchAtRest(workshop, pipeline, { source, log })
    const joined = search === undefined ? nothing : yield* rootKeys(log, whole, { search, known, signal })
    const records = own.records + joined.records
    return { from: stretch.from, to: stretch.to, records, barriers: [...own.barriers, ...joined.barriers] }
  } finally {
    await source.close()
    await log.close()
  }
}

type Looked = Pick<ReplayPreview, 'records' | 'barriers'>

const nothing: Looked = { records: 0, barriers: [] }

async function* ownKeys(
  log: LogAdmin,
  whole: Stretch,
  known: Set<Key>,
  signal: AbortSignal,
): AsyncGenerator<Key, Looked> {
  let looked = nothing
  const waiting: KeyPart[] = [everyKey]
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    signal.throwIfAborted()
    const gathered = await gatherKeys(log, whole, { part, keysMax })
    waiting.unshift(...gathered.others)
    looked = gathered
    yield* gathered.keys
    if (known.size + gathered.keys.size <= keysMax) for (const key of gathered.keys) known.add(key)
  }
  return looked
}

/** Of the roots whose joined rows the stretch is about, those that are not known yet. */
async function* rootKeys(
  log: LogAdmin,
  { only, ...stretch }: Stretch,
  found: { readonly search: RootSearch; readonly known: Set<Key>; readonly signal: AbortSignal },
): AsyncGenerator<Key, Looked> {
  const { search, known, signal } = found
  let looked = nothing
  for await (const { roots, records, barriers } of followedRoots(log, stretch, search, signal)) {
    looked = { records: looked.records + records, barriers: [...looked.barriers, ...barriers] }
    for (const key of roots) {
      if (known.has(key) || only?.has(key) === false) continue
      if (known.size < keysMax) known.add(key)
      yield key
    }
  }
  return looked
}

/** Sees what the log has by now, or more; undefined = the pipeline joins no tables. */
async function searchAtRest(
  { configuration }: Workshop,
  { definition, source: name }: Pipeline,
  { source, log }: { readonly source: Source & OpenSource; readonly log: LogAdmin },
): Promise<RootSearch | undefined> {
  if (!isJoined(definition)) return undefined
  const control = await log.control()
  const position = control === undefined ? undefined : positionIn(control, `source:${name}`)
  return new RootSearch({
    ...readingBounds(configuration.settings),
    ...rootSearchParts(definition, source),
    capture: { position: position ?? (await source.head()), confirmed: (read) => read() },
  })
}
