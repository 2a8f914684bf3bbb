import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Position } from '../../../src/change/change.ts'
import { Divergence } from '../../../src/change/failure.ts'
import type { DocumentDefinition } from '../../../src/document/definition.ts'
import { Mapper } from '../../../src/document/mapping.ts'
import { Capture } from '../../../src/pipeline/capture.ts'
import type { Clock } from '../../../src/pipeline/clock.ts'
import { Feed } from '../../../src/pipeline/feed.ts'
import { epochOf } from '../../../src/pipeline/numbering.ts'
import { Pipeline, type PipelineParts } from '../../../src/pipeline/pipeline.ts'
import { supervise } from '../../../src/pipeline/supervise.ts'
import type { IndexAdmin, IndexState, Sink } from '../../../src/sink/sink.ts'
import { Facts } from '../../support/facts.ts'
import { MemoryLog, MemoryLogContents } from '../../support/memory-log.ts'
import { MemoryDatabase, MemorySource } from '../../support/memory-source.ts'
import { MemoryIndex } from '../../support/memory-sink.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const table = 'shop.items'
const group = 'items@main'
const noWishes = { reload: false, keep: false, adopt: false }

const definition: DocumentDefinition = {
  table,
  fields: undefined,
  exclude: [],
  where: [],
  id: undefined,
  idPrefix: '',
}

/** What outlives a process: the table, the log's contents, the index. */
class World {
  readonly clock = new VirtualClock()
  readonly database = new MemoryDatabase(() => this.clock.now())
  readonly contents = new MemoryLogContents()
  readonly index = new MemoryIndex()

  constructor() {
    this.database.createTable(
      table,
      [
        { name: 'id', kind: 'integer', type: 'int', nullable: false },
        { name: 'name', kind: 'string', type: 'varchar(50)', nullable: false },
      ],
      [0],
    )
  }

  insert(id: number, name: string): void {
    this.database.transaction((writer) => writer.insert(table, { id, name }))
  }

  delete(id: number): void {
    this.database.transaction((writer) => writer.delete(table, { id }))
  }

  /** Names by id. */
  documents(): Record<string, string> {
    const named = [...this.index.documents()].map(([id, { source }]) => [
      id,
      JSON.parse(source).name as string,
    ])
    return Object.fromEntries(named) as Record<string, string>
  }
}

/** One process: a capture and a pipeline, supervised apart, as the daemon does. */
class Process {
  readonly facts = new Facts()
  readonly capture: Capture
  readonly log: MemoryLog
  /** What a call to the source meets. */
  suffer: (call: 'read' | 'head' | 'chunk' | 'rows') => Promise<void> = () => Promise.resolve()
  /** What happens before the index is opened. */
  opening: () => Promise<void> = () => Promise.resolve()
  readonly #world: World
  readonly #stop = new AbortController()
  #capturing = new AbortController()
  readonly #pipeline: Pipeline
  readonly #feed: Feed
  #works: Promise<unknown>[] = []

  constructor(world: World, changed: Partial<PipelineParts> = {}) {
    this.#world = world
    const { clock, database } = world
    this.log = new MemoryLog(world.contents, () => clock.now())
    const source = new MemorySource({
      database,
      clock,
      pieceRows: 10,
      heartbeatMs: 1_000,
      suffer: (call) => this.suffer(call),
    })
    const { observe } = this.facts
    this.capture = new Capture({
      name: 'main',
      source,
      log: this.log,
      clock,
      observe,
      batchBytesMax: 10_000,
      windowKeysMax: 100,
      groupsOf: () => [group],
    })
    this.#feed = new Feed({
      name: 'main',
      log: this.log,
      capture: this.capture,
      lanes: 2,
      lineage: () => 'a lineage',
      start: () => source.head(),
      epochsSeen: () => Promise.resolve([]),
      clock,
      observe,
      groups: [{ group, table }],
      restart: false,
    })
    this.#pipeline = new Pipeline({ ...this.#parts(source, clock), ...changed })
  }

  start(): this {
    const { clock } = this.#world
    const around = { part: 'items', clock, observe: this.facts.observe }
    this.startCapture()
    this.#works.push(supervise(around, (signal) => this.#pipeline.run(signal), this.#stop.signal))
    return this
  }

  startCapture(): void {
    this.#capturing = new AbortController()
    this.#works.push(this.#feed.run(this.#capturing.signal))
  }

  stopCapture(): void {
    this.#capturing.abort()
  }

  async end(): Promise<void> {
    this.#stop.abort()
    this.#capturing.abort()
    await this.#world.clock.until(Promise.all(this.#works))
  }

  #parts(source: MemorySource, clock: Clock): PipelineParts {
    const mapper = new Mapper(definition)
    const { index } = this.#world
    const openIndex = async (): Promise<IndexAdmin> => {
      await this.opening()
      return index
    }
    return {
      name: 'items',
      group,
      target: 'main',
      table,
      alias: 'items',
      source,
      capture: this.capture,
      log: this.log,
      deadLetters: this.log.deadLetters,
      openIndex,
      sinkFor: (state) => index.sinkFor(state),
      enrich: (entries) => Promise.resolve(mapper.map(entries).works),
      clock,
      observe: this.facts.observe,
      limits: { requestCountMax: 100, requestBytesMax: 100_000, batchAgeMs: 0, queuedBytesMax: 1_000_000 },
      loadLimits: { chunkRows: 2, chunkBytes: 10_000, rowsPerSecond: 0, undeliveredBytesMax: 1_000_000 },
      guardEveryMs: 1_000,
      definition: 'the definition',
      differences: () => [],
      start: 'load',
      wishes: noWishes,
      rowsEstimate: () => Promise.resolve(10),
      abort: new AbortController().signal,
    }
  }
}

test('a new pipeline makes its index, marks it, loads the table and follows it', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  world.insert(4, 'row 4')
  await world.clock.advance(5_000)
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3', 4: 'row 4' })
  const index = await world.index.inspect()
  assert.deepEqual(index?.mark, { pipeline: 'items', lineage: 'a lineage', epoch: 1 })
  assert.deepEqual(
    process.facts.of('pipeline-state').map(({ state }) => state),
    ['starting', 'loading', 'running'],
  )
  await process.end()
})

test('an index bears the mark of an epoch before its first document does', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const epochs: number[] = []
  const sinkFor = (state: IndexState): Sink => {
    const sink = world.index.sinkFor(state)
    return {
      write: async (operations, signal) => {
        const marked = (await world.index.inspect())?.mark?.epoch ?? 0
        for (const { version } of operations) {
          epochs.push(epochOf(version))
          assert(epochOf(version) <= marked, `epoch ${epochOf(version)} in an index of epoch ${marked}`)
        }
        return await sink.write(operations, signal)
      },
    }
  }
  const process = new Process(world, { sinkFor }).start()
  await world.clock.until(process.facts.until('load-finished'))
  let reads = 0
  process.suffer = (call) =>
    call === 'read' && reads++ === 0
      ? Promise.reject(new Divergence('gone', { resume: '3' as Position, undone: '' }))
      : Promise.resolve()
  world.insert(4, 'row 4')
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  await world.clock.advance(5_000)
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3', 4: 'row 4' })
  assert.equal((await world.index.inspect())?.mark?.epoch, 2)
  assert(epochs.includes(2))
  await process.end()
})

test('a process goes on where the one before it was, without another load', async () => {
  const world = new World()
  world.insert(1, 'row 1')
  const first = new Process(world).start()
  await world.clock.until(first.facts.until('load-finished'))
  await first.end()
  world.insert(2, 'row 2')
  const second = new Process(world).start()
  await world.clock.until(second.facts.until('committed'))
  await world.clock.advance(2_000)
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2' })
  assert.deepEqual(second.facts.of('load-started'), [])
  await second.end()
})

test('an index that goes while it is filled is made again and loaded', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  world.index.drop()
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3' })
  await process.end()
})

test('the load of an index that is made again is not forgotten where capture stops in between', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  let openings = 0
  process.opening = async () => {
    if (++openings > 1) return
    process.stopCapture()
    await world.clock.sleep(1, new AbortController().signal)
  }
  world.index.drop()
  await world.clock.until(
    process.facts.until('restarting', ({ failure }) => /not running/.test(failure.message)),
  )
  process.startCapture()
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3' })
  await process.end()
})

test('what is read anew still delivers what was not delivered: a late request finds its document deleted', async () => {
  const world = new World()
  world.insert(1, 'row 1')
  const first = new Process(world).start()
  await world.clock.until(first.facts.until('load-finished'))
  const late = Promise.withResolvers<void>()
  let requests = 0
  world.index.fault = () =>
    requests++ === 0 ? { kind: 'stray', until: late.promise } : { kind: 'refused', failure: 'transient' }
  world.insert(2, 'row 2')
  await world.clock.until(first.facts.until('target-waiting'))
  world.delete(2)
  await world.clock.advance(100)
  await first.end()
  world.index.fault = () => undefined
  const second = new Process(world, { wishes: { ...noWishes, reload: true } }).start()
  await world.clock.until(second.facts.until('load-finished'))
  late.resolve()
  await world.clock.advance(100)
  assert.deepEqual(world.documents(), { 1: 'row 1' })
  await second.end()
})

test('a wish to read everything anew holds once: when the pipeline is started again it goes on', async () => {
  const world = new World()
  world.insert(1, 'row 1')
  const process = new Process(world, { wishes: { ...noWishes, reload: true } }).start()
  await world.clock.until(process.facts.until('load-finished'))
  process.stopCapture()
  await world.clock.advance(10)
  process.startCapture()
  await world.clock.advance(60_000)
  assert.equal(process.facts.of('load-started').length, 1)
  await process.end()
})
