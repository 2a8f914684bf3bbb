/** A group with its log, its index and a table of two columns, all in memory, for tests of delivery. */
import type { Barrier, Change, Key, Table } from '../../src/change/change.ts'
import { packRecords } from '../../src/change/records.ts'
import { packRow } from '../../src/change/row.ts'
import type { DocumentDefinition } from '../../src/document/definition.ts'
import { Mapper } from '../../src/document/mapping.ts'
import type { Control, Entries, NumberedBarrier } from '../../src/log/log.ts'
import { Delivery } from '../../src/pipeline/delivery/delivery.ts'
import type { DeliveryLimits } from '../../src/pipeline/delivery/lane.ts'
import { Letters } from '../../src/pipeline/delivery/letters.ts'
import { highestVersion } from '../../src/pipeline/capture/numbering.ts'
import { heedingRemarks } from '../../src/pipeline/delivery/remarks.ts'
import type { IndexState, Operation } from '../../src/sink/sink.ts'
import { Facts } from './facts.ts'
import { MemoryLog, MemoryLogContents } from './memory-log.ts'
import { MemoryIndex } from './memory-sink.ts'
import { VirtualClock } from './virtual-clock.ts'

export const group = 'items@main'

export const table: Table = {
  name: 'shop.items',
  columns: [
    { name: 'id', kind: 'integer', type: 'int', nullable: false },
    { name: 'name', kind: 'string', type: 'varchar(50)', nullable: false },
  ],
  key: [0],
}

const definition: DocumentDefinition = {
  table: table.name,
  fields: undefined,
  exclude: [],
  where: [],
  id: undefined,
  idPrefix: '',
}

/** A row that the target refuses. */
export const hostile = 'hostile'

export function insert(id: number, name: string): Change {
  const row = packRow([String(id), JSON.stringify(name)])
  return { table, op: 'insert', key: `[${id}]` as Key, before: undefined, after: row, committedAtMs: 1 }
}

export function remove(id: number, name: string): Change {
  const row = packRow([String(id), JSON.stringify(name)])
  return { table, op: 'delete', key: `[${id}]` as Key, before: row, after: undefined, committedAtMs: 1 }
}

const limits: DeliveryLimits = {
  requestCountMax: 100,
  requestBytesMax: 100_000,
  windowMs: 0,
  attemptsMax: 3,
  waitSecondsMax: 30,
  batchAgeMs: 0,
  queuedBytesMax: 1 << 20,
}

export class Subject {
  readonly clock = new VirtualClock()
  readonly facts = new Facts()
  readonly contents = new MemoryLogContents()
  readonly log = new MemoryLog(this.contents, () => this.clock.now())
  readonly index = new MemoryIndex({
    refusal: (body) => (body.includes(hostile) ? "failed to parse field 'name'" : undefined),
  })
  readonly letters = new Letters({
    group,
    deadLetters: this.log.deadLetters,
    observe: this.facts.observe,
    breaker: { count: 50, share: 0.5 },
  })
  /** What becomes of an operation before it is written; undefined = it stays as it is. */
  remade: ((operation: Operation) => Operation) | undefined
  /** What the guard says when it is asked. */
  guard: () => Promise<void> = () => Promise.resolve()
  /** What a lane does at a barrier. */
  barrier: (barrier: NumberedBarrier) => Promise<void> = () => Promise.resolve()
  control: Control = { lineage: 'l', epoch: 1, seq: 0, lanes: 1, producers: {} }
  state: IndexState | undefined

  /** A log and an index that are ready. */
  async begin(lanes = 1): Promise<this> {
    this.control = { ...this.control, lanes }
    await this.log.tail()
    await this.append([])
    await this.log.define({ name: group, tables: [table.name], attributes: {} })
    this.state = await this.index.create({ pipeline: 'items', lineage: 'l', epoch: 1 })
    return this
  }

  async append(changes: readonly Change[], barriers: readonly Barrier[] = []): Promise<void> {
    const firstSeq = this.control.seq + 1
    this.control = { ...this.control, seq: this.control.seq + changes.length + barriers.length }
    const batch = {
      records: [packRecords(changes)],
      firstSeq,
      addressee: undefined,
      barriers,
      control: this.control,
    }
    await this.log.append(batch)
  }

  /** A delivery from where the group stands; `admit` may throw at entries, or take its time. */
  async delivery(
    changed: Partial<DeliveryLimits> = {},
    admit: (entries: Entries) => void | Promise<void> = () => {},
  ): Promise<Delivery> {
    const [found] = await this.log.groups()
    if (found === undefined || this.state === undefined) throw new Error('nothing has begun')
    const mapper = new Mapper(definition)
    const { remade } = this
    return new Delivery({
      group: found,
      log: this.log,
      sink: heedingRemarks(this.index.sinkFor(this.state)),
      enrich: async (entries) => {
        await admit(entries)
        const { works } = mapper.map(entries)
        if (remade === undefined) return works
        return Array.from(works, ({ at, operation }) => ({ at, operation: remade(operation) }))
      },
      barrier: (barrier) => this.barrier(barrier),
      letters: this.letters,
      clock: this.clock,
      observe: this.facts.observe,
      limits: { ...limits, ...changed },
      highestVersion: () => highestVersion(this.control),
      guard: () => this.guard(),
      abort: new AbortController().signal,
    })
  }

  /** Delivers until everything that is in the log now is finished, then stops in good order. */
  async deliverAll(changed: Partial<DeliveryLimits> = {}): Promise<void> {
    const delivery = await this.delivery(changed)
    const stop = new AbortController()
    const running = delivery.run(stop.signal)
    await this.clock.until(
      Promise.race([delivery.passed(this.contents.records.length, stop.signal), running]),
    )
    stop.abort()
    await this.clock.until(running)
  }

  /** Names by id. */
  documents(): Record<string, string> {
    const named = [...this.index.documents()].map(([id, { source }]) => [
      id,
      JSON.parse(source).name as string,
    ])
    return Object.fromEntries(named) as Record<string, string>
  }

  async letterIds(): Promise<string[]> {
    const ids: string[] = []
    for await (const { id } of this.log.deadLetters.list(group)) ids.push(id)
    return ids
  }
}
