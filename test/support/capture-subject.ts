/** A table, a log, and what captures the one into the other, in memory. */
import type { Position, Table } from '../../src/change/change.ts'
import { Capture } from '../../src/pipeline/capture/capture.ts'
import { Feed } from '../../src/pipeline/feed.ts'
import { FirstLoad } from '../../src/pipeline/load/first-load.ts'
import { newLoad } from '../../src/pipeline/capture/load-state.ts'
import { Facts } from './facts.ts'
import { MemoryLog, MemoryLogContents } from './memory-log.ts'
import { MemoryDatabase } from './memory-database.ts'
import { MemorySource } from './memory-source.ts'
import { VirtualClock } from './virtual-clock.ts'

export const table = 'shop.items'
export const group = 'items@main'

export class CaptureSubject {
  readonly clock = new VirtualClock()
  readonly facts = new Facts()
  readonly database = new MemoryDatabase(() => this.clock.now())
  readonly contents = new MemoryLogContents()
  readonly stop = new AbortController()
  /** What a call to the source meets. */
  suffer: (call: 'read' | 'head' | 'chunk' | 'rows') => Promise<void> = () => Promise.resolve()
  readonly source = new MemorySource({
    database: this.database,
    clock: this.clock,
    pieceRows: 4,
    heartbeatMs: 1_000,
    suffer: (call) => this.suffer(call),
  })
  readonly log = new MemoryLog(this.contents, () => this.clock.now())
  readonly capture = new Capture({
    name: 'main',
    source: this.source,
    log: this.log,
    clock: this.clock,
    observe: this.facts.observe,
    batchBytesMax: 10_000,
    windowKeysMax: 5,
    rereading: (barrier) => [{ group, table: barrier.table }],
  })
  /** Offsets that the load waits for the delivery of. */
  readonly awaited: number[] = []
  readonly swept: bigint[] = []

  readonly items: Table
  readonly #showsOneRow: boolean
  /** When what was begun has ended. */
  ended: Promise<void> = Promise.resolve()

  constructor({ showsOneRow = true }: { readonly showsOneRow?: boolean } = {}) {
    this.#showsOneRow = showsOneRow
    this.items = this.database.createTable(
      table,
      [
        { name: 'id', kind: 'integer', type: 'int', nullable: false },
        { name: 'name', kind: 'string', type: 'varchar(50)', nullable: false },
      ],
      [0],
    )
  }

  /** Captures until it is to stop. */
  startCapture(): void {
    this.ended = this.feed().run(this.stop.signal)
  }

  insert(...ids: readonly number[]): void {
    this.database.transaction((writer) => {
      for (const id of ids) writer.insert(table, { id, name: `row ${id}` })
    })
  }

  update(id: number, name: string): void {
    this.database.transaction((writer) => writer.update(table, { id }, { id, name }))
  }

  feed(restart = false): Feed {
    return new Feed({
      name: 'main',
      log: this.log,
      capture: this.capture,
      lanes: 2,
      lineage: () => 'a lineage',
      start: () => this.source.head(),
      epochsSeen: () => Promise.resolve([4]),
      clock: this.clock,
      observe: this.facts.observe,
      groups: [{ group, table, showsOneRow: this.#showsOneRow }],
      misses: () => [],
      restart,
    })
  }

  load(chunkRows = 3): FirstLoad {
    return new FirstLoad({
      group,
      source: this.source,
      capture: this.capture,
      clock: this.clock,
      observe: this.facts.observe,
      limits: { chunkRows, chunkBytes: 10_000, rowsPerSecond: 0, undeliveredBytesMax: 1_000_000 },
      prepare: () => Promise.resolve(),
      passed: (offset) => Promise.resolve(void this.awaited.push(offset)),
      sweep: (below) => {
        this.swept.push(below)
        return Promise.resolve({ scanned: 0, deleted: 0 })
      },
    })
  }

  async captured(): Promise<void> {
    const head = await this.source.head()
    for (;;) {
      const seen = this.capture.movements
      const position = this.capture.control?.producers['source:main'] as Position | undefined
      if (position !== undefined && this.source.covers(position, head)) return
      await this.clock.until(this.capture.moved(seen, this.stop.signal))
    }
  }

  async demand(sweepBelow: bigint | undefined): Promise<void> {
    const load = { table, generation: 1, rowsEstimate: 10, reason: 'a test', startedAtMs: 0 }
    await this.clock.until(this.capture.setLoad(group, () => newLoad({ ...load, sweepBelow })))
  }

  /** What the log holds, as `operation id name`, chunks marked. */
  records(): string[] {
    return this.contents.records.map(({ entry: { change }, addressee, barrier }) => {
      if (barrier !== undefined) return `barrier ${barrier.statement}`
      const chunk = addressee === undefined ? '' : ' (chunk)'
      return `${change.op} ${change.key}${chunk}`
    })
  }
}
