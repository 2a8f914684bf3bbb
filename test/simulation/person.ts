/** A person who replays stretches of the log, whatever else goes on, and sometimes thinks better of it. */
import { everyKey } from '../../src/pipeline/replay/replay-keys.ts'
import { isUnderWay, ReplayStates } from '../../src/pipeline/replay/replay-state.ts'
import { table } from './application.ts'
import { sourceName } from './life.ts'
import type { World } from './world.ts'

const addressee = 'items'

export async function replay(world: World): Promise<void> {
  const { clock, life, replaying: random, store } = world
  const control = life.capture?.control
  if (random === undefined || life.log === undefined || control === undefined || !life.isAlive) return
  const states = new ReplayStates(store, sourceName)
  const before = await states.of(addressee)
  if (before !== undefined && isUnderWay(before.state)) {
    if (random.next() < 0.2) await states.cancel(addressee, clock.now())
    return
  }
  const { oldest, next } = await clock.until(life.log.retention())
  const from = oldest + random.below(next - oldest + 1)
  world.tell(`── replay from ${from}`)
  await states.begin({
    source: sourceName,
    addressee,
    table,
    lineage: control.lineage,
    from,
    to: from + random.below(next - from + 1),
    keysPerSecond: random.pick([0, 10]),
    phase: 'touching',
    parts: [everyKey],
    keysInPart: 0,
    touchedInPart: 0,
    touched: 0,
    until: 0,
    barriers: [],
    startedAtMs: clock.now(),
    endedAtMs: null,
    failure: null,
  })
}

export async function hasEnded({ store }: World): Promise<boolean> {
  const kept = await new ReplayStates(store, sourceName).of(addressee)
  return kept === undefined || !isUnderWay(kept.state)
}
