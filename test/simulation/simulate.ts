/** One seed's story: steps full of trouble, then rest; and at rest the index must equal the table. */
import { hidden, hostile, table } from './application.ts'
import { group, definition } from './life.ts'
import { createMapper } from '../../src/document/mapping.ts'
import { loadState } from '../../src/pipeline/load-state.ts'
import { verify } from '../../src/pipeline/verify.ts'
import type { Trouble } from './settings.ts'
import { World } from './world.ts'

export interface Story {
  readonly seed: number
  /** At most; the seed decides. */
  readonly steps: number
  readonly tell: (line: string) => void
}

/** Throws what did not hold. */
export async function simulate({ seed, steps, tell }: Story): Promise<void> {
  const world = new World({ seed, tell })
  const length = 1 + world.random.below(steps)
  for (let step = 0; step < length; step++) {
    await takeStep(world)
    assertSound(world)
  }
  await comeToRest(world)
  await world.clock.until(assertEqual(world))
  await assertLogSound(world)
}

async function takeStep(world: World): Promise<void> {
  const { random, settings } = world
  for (const [kind, act] of Object.entries(troubles)) {
    if (random.next() >= settings.trouble[kind as Trouble]) continue
    if (random.next() < 0.5) await world.pass(random.below(2 * settings.lingerMsMax))
    world.tell(`── ${kind}`)
    await act(world)
  }
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
    await world.stop()
    world.start(true)
  },
  purge: (world) => world.database.purge(),
  truncate: (world) => world.application.truncate(),
  updateAll: (world) => world.application.updateAll(),
}

/** By an empty one, or by one from a backup: some documents as they were, others not at all. */
async function replaceIndex(world: World): Promise<void> {
  const { index } = world.target
  if ((await index.inspect())?.mark === undefined) return
  const kept = [...index.documents()].filter(() => world.random.next() < 0.5)
  index.replace(new Map(kept))
  world.reloadIsDue = true
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

async function isAtRest({ life, database, clock, target }: World): Promise<boolean> {
  const control = life.capture?.control
  if (life.log === undefined || control === undefined || target.underWay > 0) return false
  const load = loadState(control, group)
  if (load?.phase !== 'done' || control.producers['source:main'] !== String(database.executed)) return false
  const { next } = await clock.until(life.log.retention())
  const found = (await clock.until(life.log.groups())).find(({ name }) => name === group)
  return found !== undefined && found.lanes.every((lane) => lane === next)
}

async function assertEqual(world: World): Promise<void> {
  const documents = world.target.index.documents()
  const wrong: string[] = []
  const rows = world.database.rows(table)
  const expected = rows.filter((row) => row['state'] !== hidden)
  const refused = new Set<string>()
  for (const row of expected) {
    const id = String(row['id'])
    const found = documents.get(id)?.source
    if (row['name'] === hostile) {
      refused.add(id)
      if (found !== undefined && found === JSON.stringify(row)) wrong.push(`${id} was to be refused`)
    } else if (found !== JSON.stringify(row)) wrong.push(`${id} is ${found}, not ${JSON.stringify(row)}`)
  }
  const ids = new Set(expected.map((row) => String(row['id'])))
  for (const [id, { source }] of documents)
    if (!ids.has(id)) wrong.push(`${id} is not in the table: ${source}`)
  const letters: string[] = []
  for await (const letter of world.life.log?.deadLetters.list(group) ?? []) letters.push(letter.id)
  for (const id of letters) if (!refused.has(id)) wrong.push(`${id} has a dead letter, and no row to blame`)
  for (const id of refused) if (!letters.includes(id)) wrong.push(`${id} has no dead letter`)
  wrong.push(...(await verified(world, refused)))
  if (wrong.length > 0) throw new Error(`at rest index and table differ:\n  ${wrong.join('\n  ')}`)
}

/** What the product's own check finds, the refused documents apart. */
async function verified(world: World, refused: ReadonlySet<string>): Promise<string[]> {
  const mapper = createMapper(definition)
  const differences = verify(
    {
      table,
      source: world.plainSource(),
      index: world.target.index,
      enrich: (entries) => Promise.resolve(mapper(entries)),
      chunkRows: 40,
      chunkBytes: 10_000,
      idsMax: 70,
      rowsEstimate: 140,
      progress: () => undefined,
    },
    new AbortController().signal,
  )
  const found: string[] = []
  for await (const { id, kind } of differences) if (!refused.has(id)) found.push(`verify finds ${id} ${kind}`)
  return found
}

async function assertLogSound(world: World): Promise<void> {
  await world.clock.until(world.walkLog())
  await world.stop()
  if (world.life.end?.error !== undefined) throw new Error('the stop failed', { cause: world.life.end.error })
  await world.clock.until(world.walkLog())
  assertSound(world)
}

function assertSound({ checks }: World): void {
  if (checks.violations.length > 0) throw new Error(checks.violations.join('\n'))
}
