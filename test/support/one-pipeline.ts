/** One pipeline over a table in memory: the world that outlives its processes, and a process. */
import type { DocumentDefinition } from '../../src/document/definition.ts'
import { Mapper } from '../../src/document/mapping.ts'
import { limitedTo, shapeOf } from '../../src/document/shape.ts'
import { Capture } from '../../src/pipeline/capture/capture.ts'
import type { Clock } from '../../src/pipeline/clock.ts'
import type { ColumnPolicy } from '../../src/pipeline/index/column-gate.ts'
import { FirstLoad } from '../../src/pipeline/load/first-load.ts'
import { Feed } from '../../src/pipeline/feed.ts'
import { Pipeline, type PipelineParts } from '../../src/pipeline/pipeline.ts'
import { supervise } from '../../src/pipeline/supervise.ts'
import type { IndexAdmin } from '../../src/sink/sink.ts'
import { Facts } from './facts.ts'
import { MemoryIndex } from './memory-sink.ts'
import { MemoryLog, MemoryLogContents } from './memory-log.ts'
import { MemoryDatabase } from './memory-database.ts'
import { MemorySource } from './memory-source.ts'
import { VirtualClock } from './virtual-clock.ts'

export const table = 'shop.items'
const group = 'items@main'
export const noWishes = { reload: false, keep: false, adopt: false }

export const definition: DocumentDefinition = {
  table,
  fields: undefined,
  exclude: [],
  where: [],
  id: undefined,
  idPrefix: '',
}

/** What outlives a process: the table, the log's contents, the index. */
export class World {
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
export class Process {
  readonly facts = new Facts()
  readonly capture: Capture
  readonly log: MemoryLog
  /** What a call to the source meets. */
  suffer: (call: 'read' | 'head' | 'chunk' | 'rows') => Promise<void> = () => Promise.resolve()
  /** What happens before the index is opened. */
  opening: () => Promise<void> = () => Promise.resolve()
  /** What a person must mend before the pipeline can go on; undefined = it ended by itself. */
  failure: Promise<unknown> = Promise.resolve()
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
      rereading: () => [{ group, table }],
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
      groups: [{ group, table, showsOneRow: true }],
      misses: () => [],
      restart: false,
    })
    this.#pipeline = new Pipeline({ ...this.#parts(source, clock), ...changed })
  }

  start(): this {
    const { clock } = this.#world
    const around = { part: 'items', clock, observe: this.facts.observe }
    this.startCapture()
    const work = supervise(around, (signal) => this.#pipeline.run(signal), this.#stop.signal)
    this.failure = work.then(
      () => undefined,
      (error: unknown) => error,
    )
    this.#works.push(this.failure)
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
    const { index } = this.#world
    const reading = {
      group,
      source,
      capture: this.capture,
      clock,
      observe: this.facts.observe,
      limits: { chunkRows: 2, chunkBytes: 10_000, rowsPerSecond: 0, undeliveredBytesMax: 1_000_000 },
    }
    const openIndex = async (): Promise<IndexAdmin> => {
      await this.opening()
      return index
    }
    return {
      name: 'items',
      label: 'items',
      group,
      target: 'main',
      table,
      alias: 'items',
      tables: [table],
      capture: this.capture,
      log: this.log,
      deadLetters: this.log.deadLetters,
      openIndex,
      sinkFor: (state) => index.sinkFor(state),
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
      loading: (load, ending) => new FirstLoad({ ...load, ...reading }).run(ending),
      alone: (work) => work(),
      guardEveryMs: 1_000,
      definition: 'the definition',
      differences: () => [],
      start: 'load',
      wishes: noWishes,
      reloadsWhenLost: false,
      rowsEstimate: () => Promise.resolve(10),
      companions: [],
      abort: new AbortController().signal,
    }
  }
}

/** What a pipeline with this definition and this policy makes its documents by. */
export function documentsOf(
  { database }: World,
  made: DocumentDefinition,
  policy: ColumnPolicy,
): Pick<PipelineParts, 'columns' | 'enricher'> {
  return {
    columns: {
      policy,
      shapeOf: (found) => shapeOf(made, found),
      present: () => Promise.resolve(shapeOf(made, database.definition(table))),
      mappings: (fields) => Object.fromEntries(fields.map(({ field, column }) => [field, column.kind])),
    },
    enricher: (shown) => {
      const mapper = new Mapper(shown === undefined ? made : limitedTo(made, shown))
      return (entries) => Promise.resolve(mapper.map(entries).works)
    },
  }
}
