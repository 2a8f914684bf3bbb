/** One seed's story in acts: steps full of trouble, then rest; and at rest the index must equal the table. */
import type { Key } from '../../src/change/change.ts'
import { loadState } from '../../src/pipeline/capture/load-state.ts'
import { table } from './application.ts'
import { assertEqual } from './equality.ts'
import { group } from './life.ts'
import { hasEnded, replay } from './person.ts'
import type { Trouble } from './settings.ts'
import { lossMax } from '../support/memory-database.ts'
import type { Random } from '../support/random.ts'
import { World } from './world.ts'

export interface Story {
  readonly seed: number
  /** In one act, at most; the seed decides. */
  readonly steps: number
  readonly tell: (line: string) => void
}

/** Throws what did not hold. */
export async function simulate({ seed, steps, tell }: Story): Promise<void> {
  const world = new World({ seed, tell })
  for (let act = 0; act < acts; act++) {
    const length = 1 + world.random.below(steps)
    for (let step = 0; step < length; step++) {
      await takeStep(world)
      assertSound(world)
    }
    await comeToRest(world)
    await world.clock.until(assertEqual(world))
    await world.clock.until(world.walkLog())
  }
  await endWell(world)
}

/** Often at rest: what goes wrong in one act must not be mended unseen by what happens in the next. */
const acts = 4

async function takeStep(world: World): Promise<void> {
  const { random, settings } = world
  for (const [kind, act] of Object.entries(troubles)) {
    if (random.next() >= settings.trouble[kind as Trouble]) continue
    if (random.next() < 0.5) await world.pass(random.below(2 * settings.lingerMsMax))
    world.tell(`── ${kind}`)
    await act(world)
  }
  if (world.replaying !== undefined && world.replaying.next() < 0.2) await replay(world)
  if (world.losing !== undefined && world.losing.next() < 0.1) await loseServer(world, world.losing)
  for (let left = random.below(4); left > 0; left--) {
    world.application.transact(1 + random.below(6))
    if (random.next() < 0.5) await world.pass(random.below(50))
  }
  await world.pass(random.pick([5, 100, 2_000, 15_000]))
  world.start()
}

const troubles: Readonly<Record<Trouble, (world: World) => Promise<void> | void>> = {
  kill: (world) => world.kill(),
  powerCut: (world) => world.cutPower(),
  stop: (world) => world.stop(),
  stateLoss: (world) => world.loseState(),
  diskFull: (world) => {
    world.disk.capacityBytes = world.random.pick([0, Number.POSITIVE_INFINITY])
  },
  diskErrors: (world) => {
    const share = world.random.pick([0, 0.02, 0.2])
    world.disk.fault = (operation) =>
      operation !== 'open' && operation !== 'read' && world.random.next() < share ? 'EIO' : undefined
  },
  sourceErrors: (world) => {
    world.sourceFaults = world.random.pick([0, 0.05, 0.3])
  },
  targetDown: (world) => {
    world.target.isDown = !world.target.isDown
  },
  targetFaults: (world) => {
    world.target.faults = world.random.pick([0, 0.1, 0.5])
  },
  forgetDeletes: (world) => {
    if (world.target.underWay > 0) return
    world.target.index.forgetDeletes()
    world.checks.deletesForgotten()
  },
  indexDropped: (world) => world.target.index.drop(),
  indexReplaced: (world) => replaceIndex(world),
  reload: async (world) => {
    if (world.random.next() < 0.5) await world.stop()
    else world.kill()
    world.application.transact(world.random.below(20))
    world.start(true)
  },
  purge: (world) => {
    // Whoever is not there to read it misses something.
    if (world.random.next() < 0.5) world.kill()
    world.application.transact(1 + world.random.below(20))
    world.database.purge()
  },
  truncate: (world) => world.application.truncate(),
  rewrite: (world) => world.application.rewrite(),
  barrierInLoad: async (world) => {
    if (world.life.capture?.loadState(group)?.phase !== 'reading') return
    await world.pass(world.random.below(4 * world.settings.lingerMsMax))
    if (world.random.next() < 0.5) world.application.truncate()
    else world.application.rewrite()
    await world.pass(world.random.below(10))
  },
  updateAll: (world) => world.application.updateAll(),
  touch: (world) => touchSome(world),
}

/** The server goes, with transactions of which some were captured, and some seen by reads that capture never came to. */
async function loseServer(world: World, random: Random): Promise<void> {
  world.tell('── the server is lost')
  for (let left = random.below(4); left > 0; left--) {
    world.application.transact(1 + random.below(6))
    if (random.next() < 0.5) touchSome(world)
    if (random.next() < 0.5) world.database.reveal(world.database.executed)
    await world.pass(random.below(2 * world.settings.lingerMsMax))
  }
  world.database.loseServer(random.below(lossMax))
}

/** A person has rows read again, some of which are not there; the process may die meanwhile. */
function touchSome({ life, random, database }: World): void {
  const keys = Array.from({ length: 1 + random.below(30) }, () => `[${random.below(220)}]` as Key)
  const addressee = random.pick(['', group, 'items', 'others@main'])
  const touched = life.capture?.touch(
    { table: database.definition(table), keys, ...(addressee === '' ? {} : { addressee }) },
    new AbortController().signal,
  )
  // Capture may not be running, or come to its end.
  touched?.catch(() => undefined)
}

/** By an empty one, or by one from a backup: some documents as they were, others not at all. */
async function replaceIndex(world: World): Promise<void> {
  const { index } = world.target
  if ((await index.inspect())?.mark === undefined) return
  const kept = [...index.documents()].filter(() => world.random.next() < 0.5)
  index.replace(new Map(kept))
  world.indexReplaced()
}

/** No trouble any more: everything must come to rest by itself, with nothing but restarts and a reload where it is due. */
async function comeToRest(world: World): Promise<void> {
  world.tell('── no more trouble')
  world.target.isDown = false
  world.target.faults = 0
  world.sourceFaults = 0
  world.disk.fault = () => undefined
  world.disk.capacityBytes = Number.POSITIVE_INFINITY
  for (let waits = 0; waits < 400; waits++) {
    await world.pass(5_000)
    assertSound(world)
    if (!world.life.isAlive) world.start()
    else if (await isAtRest(world)) return
  }
  throw new Error('it does not come to rest')
}

async function isAtRest(world: World): Promise<boolean> {
  const { life, clock, target } = world
  const control = life.capture?.control
  if (life.log === undefined || control === undefined || target.underWay > 0) return false
  const load = loadState(control, group)
  if (!(await hasEnded(world))) return false
  if (load?.phase !== 'done' || control.producers['source:main'] !== (await world.plainSource().head()))
    return false
  const { next } = await clock.until(life.log.retention())
  const found = (await clock.until(life.log.groups())).find(({ name }) => name === group)
  // The process may not have looked at its index since that was dropped or replaced.
  const index = await target.index.inspect()
  if (found === undefined || index?.uuid !== found.attributes['uuid']) return false
  return found.lanes.every((lane) => lane === next)
}

async function endWell(world: World): Promise<void> {
  await world.stop()
  if (world.life.end?.error !== undefined) throw new Error('the stop failed', { cause: world.life.end.error })
  await world.clock.until(world.walkLog())
  assertSound(world)
}

function assertSound({ checks }: World): void {
  if (checks.violations.length > 0) throw new Error(checks.violations.join('\n'))
}
