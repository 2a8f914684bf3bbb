/** Several processes over one log and one store: capture leads in one of them, delivery is where it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { Capture } from '../../../src/pipeline/capture/capture.ts'
import { CaptureRequests } from '../../../src/pipeline/capture/capture-requests.ts'
import { Feed } from '../../../src/pipeline/feed.ts'
import { FirstLoad } from '../../../src/pipeline/load/first-load.ts'
import { leaseHolder } from '../../../src/pipeline/lease.ts'
import { Pipeline } from '../../../src/pipeline/pipeline.ts'
import { carryOutBy, RemoteCapture } from '../../../src/pipeline/capture/remote-capture.ts'
import { RemoteDeriving } from '../../../src/pipeline/deriving/remote-deriving.ts'
import { captureElsewhere, leadCapture, passedIn, type SharedParts } from '../../../src/pipeline/shared.ts'
import { supervise } from '../../../src/pipeline/supervise.ts'
import type { Source } from '../../../src/source/source.ts'
import { Facts } from '../../support/facts.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemorySource } from '../../support/memory-source.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { definition, documentsOf, noWishes, table, World } from '../../support/one-pipeline.ts'

const group = 'items@main'

class Node {
  readonly facts = new Facts()
  readonly stop = new AbortController()
  /** Pipelines whose work it was asked to derive. */
  readonly derived: string[] = []
  readonly #name: string
  readonly #world: World
  readonly #store: MemoryStore
  #works: Promise<unknown>[] = []

  constructor(name: string, world: World, store: MemoryStore) {
    this.#name = name
    this.#world = world
    this.#store = store
  }

  capture(): this {
    const { clock } = this.#world
    const source = this.#source()
    const log = new MemoryLog(this.#world.contents, () => clock.now())
    const { observe } = this.facts
    const capture = new Capture({
      name: 'main',
      source,
      log,
      clock,
      observe,
      batchBytesMax: 10_000,
      windowKeysMax: 100,
      rereading: () => [{ group, table }],
    })
    const feed = new Feed({
      name: 'main',
      log,
      capture,
      lanes: 2,
      lineage: () => 'a lineage',
      start: () => source.head(),
      epochsSeen: () => Promise.resolve([]),
      clock,
      observe,
      groups: [{ group, table, showsOneRow: true }],
      misses: () => [],
      restart: false,
    })
    const limits = { chunkRows: 2, chunkBytes: 10_000, rowsPerSecond: 0, undeliveredBytesMax: 1_000_000 }
    const nothing = { prepare: () => Promise.resolve(), sweep: () => Promise.reject(new Error('not here')) }
    const passed = passedIn(log, group)
    const load = new FirstLoad({ group, source, capture, clock, observe, limits, passed, ...nothing })
    const works = {
      feed: (ending: AbortSignal) => feed.run(ending),
      others: [(ending: AbortSignal) => load.read(ending)],
      requests: this.#requests(),
      carryOut: carryOutBy({
        capture,
        describe: () => Promise.resolve(this.#world.database.definition(table)),
        derive: (pipeline) => Promise.resolve(void this.derived.push(pipeline)),
      }),
    }
    return this.#run((signal) => leadCapture({ ...this.#shared(), source: 'main' }, works, signal))
  }

  deliver(wishes = noWishes): this {
    const { clock, index } = this.#world
    const log = new MemoryLog(this.#world.contents, () => clock.now())
    const covers: Source['covers'] = (position, other) => this.#source().covers(position, other)
    const remote = new RemoteCapture({ source: 'main', log, requests: this.#requests(), covers, clock })
    const pipeline = new Pipeline({
      name: 'items',
      label: 'items',
      group,
      target: 'main',
      table,
      alias: 'items',
      tables: [table],
      ...captureElsewhere({ ...this.#shared(), group, log }, remote),
      log,
      deadLetters: log.deadLetters,
      openIndex: () => Promise.resolve(index),
      sinkFor: (state) => index.sinkFor(state),
      deriving: new RemoteDeriving({ pipeline: 'items', capture: remote, log, clock }),
      ...documentsOf(this.#world, definition, 'auto'),
      clock,
      observe: this.facts.observe,
      limits: {
        requestCountMax: 100,
        requestBytesMax: 100_000,
        windowMs: 0,
        attemptsMax: 3,
        waitSecondsMax: 30,
        batchAgeMs: 0,
        queuedBytesMax: 1_000_000,
      },
      breaker: { count: 50, share: 0.5 },
      guardEveryMs: 1_000,
      definition: 'the definition',
      differences: () => [],
      start: 'load',
      wishes,
      reloadsWhenLost: false,
      rowsEstimate: () => Promise.resolve(10),
      companions: [],
      abort: new AbortController().signal,
    })
    this.#run((signal) => remote.run(signal))
    return this.#run((signal) => pipeline.run(signal))
  }

  async end(): Promise<void> {
    this.stop.abort()
    await this.#world.clock.until(Promise.all(this.#works))
  }

  #run(work: (signal: AbortSignal) => Promise<void>): this {
    const around = { part: this.#name, clock: this.#world.clock, observe: this.facts.observe }
    this.#works.push(supervise(around, work, this.stop.signal))
    return this
  }

  #source(): MemorySource {
    const { database, clock } = this.#world
    return new MemorySource({
      database,
      clock,
      pieceRows: 10,
      heartbeatMs: 1_000,
      suffer: () => Promise.resolve(),
    })
  }

  #requests(): CaptureRequests {
    return new CaptureRequests({ source: 'main', store: this.#store, clock: this.#world.clock })
  }

  #shared(): SharedParts {
    const { clock } = this.#world
    const { observe } = this.facts
    return {
      owner: this.#name,
      store: this.#store,
      clock,
      leaseTermMs: 6_000,
      observe,
    }
  }
}

async function until(world: World, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waits = 0; !(await condition()); waits++) {
    assert.ok(waits < 2_000, 'it never happens')
    await world.clock.advance(100)
  }
}

function equals(world: World, names: Record<string, string>): () => boolean {
  return () => JSON.stringify(world.documents()) === JSON.stringify(names)
}

test('what one process captures another delivers: a load with its sweep, changes, and a load that a person asks for', async () => {
  const world = new World()
  const store = new MemoryStore()
  world.insert(1, 'one')
  world.insert(2, 'two')
  world.insert(3, 'three')
  const capturing = new Node('capturing', world, store).capture()
  let delivering = new Node('delivering', world, store).deliver()
  await until(world, equals(world, { 1: 'one', 2: 'two', 3: 'three' }))
  await until(world, () => delivering.facts.all.some(({ kind }) => kind === 'load-finished'))
  world.delete(2)
  world.insert(4, 'four')
  await until(world, equals(world, { 1: 'one', 3: 'three', 4: 'four' }))
  assert.deepEqual(capturing.derived, ['items'], 'before its load, the leader derives')
  await delivering.end()
  delivering = new Node('delivering again', world, store).deliver({ ...noWishes, reload: true })
  await until(world, () => delivering.facts.all.some(({ kind }) => kind === 'swept'))
  await until(world, () => delivering.facts.all.some(({ kind }) => kind === 'load-finished'))
  assert.ok(equals(world, { 1: 'one', 3: 'three', 4: 'four' })())
  await delivering.end()
  await capturing.end()
})

test('capture moves from process to process many times; no change is lost, and one leads at a time', async () => {
  const world = new World()
  const store = new MemoryStore()
  const delivering = new Node('delivering', world, store).deliver()
  const expected: Record<string, string> = {}
  let leader = new Node('capturing 0', world, store).capture()
  for (let move = 1; move <= 20; move++) {
    const leads = `capturing ${move - 1}`
    await until(world, async () => (await leaseHolder(store, 'capture:main'))?.owner === leads)
    const standby = new Node(`capturing ${move}`, world, store).capture()
    expected[move] = `row ${move}`
    world.insert(move, `row ${move}`)
    await until(world, equals(world, expected))
    assert.equal((await leaseHolder(store, 'capture:main'))?.owner, leads)
    world.database.transaction((writer) => writer.update(table, { id: move }, { id: move, name: 'moved' }))
    expected[move] = 'moved'
    await leader.end()
    leader = standby
  }
  await until(world, equals(world, expected))
  const seqs = world.contents.records.map(({ entry }) => entry.version)
  assert.deepEqual(
    seqs,
    [...new Set(seqs)].toSorted((a, b) => (a < b ? -1 : 1)),
  )
  await leader.end()
  await delivering.end()
})

test('while nobody captures, what is asked of capture fails for now; the next leader does it', async () => {
  const world = new World()
  const store = new MemoryStore()
  const requests = new CaptureRequests({ source: 'main', store, clock: world.clock })
  const never = new AbortController().signal
  await assert.rejects(
    world.clock.until(requests.ask('1', { kind: 'raise-epoch', epoch: 5 }, never)),
    (error) => error instanceof Failure && error.kind === 'transient',
  )
  // What was left there is done by whoever comes first, and does no harm.
  const leader = new Node('capturing', world, store).capture()
  await until(world, () => world.contents.control?.epoch === 5)
  const { seq } = await world.clock.until(requests.ask('1', { kind: 'raise-epoch', epoch: 7 }, never))
  assert.equal(world.contents.control?.epoch, 7)
  assert.ok(seq <= (world.contents.control?.seq ?? 0))
  await leader.end()
})

test('a refusal of the leader reaches whoever asked', async () => {
  const world = new World()
  const requests = new CaptureRequests({ source: 'main', store: new MemoryStore(), clock: world.clock })
  const stop = new AbortController()
  const serving = requests.serve(
    () => Promise.reject(new Failure('configuration', 'no', { remedy: 'do' })),
    stop.signal,
  )
  await assert.rejects(
    world.clock.until(requests.ask('1', { kind: 'raise-epoch', epoch: 5 }, stop.signal)),
    (error) => error instanceof Failure && error.kind === 'configuration' && error.remedy === 'do',
  )
  stop.abort()
  await world.clock.until(serving.catch(() => undefined))
})
