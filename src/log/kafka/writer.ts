/**
 * The one hand that writes records: each append is a transaction of rows, control record and the ends of the partitions
 * that it wrote to. Whoever takes the log over fences the one before, and reads what is finished.
 */
import type { Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { countOf } from '../../change/records.ts'
import type { Control, LogBatch } from '../log.ts'
import type { Compression } from './algorithms.ts'
import type { Client, Producer } from './client.ts'
import { placeName, type Place } from './connections.ts'
import {
  barrierKey,
  controlKey,
  controlText,
  tableKey,
  topicKey,
  type KnownBarrier,
  type TopicState,
} from './control-state.ts'
import type { EnvelopeSource } from './envelope-writer.ts'
import { hasCode } from './failures.ts'
import type { Follower } from './follower.ts'
import { LastTransaction } from './last-transaction.ts'
import type { Names } from './names.ts'
import { BuilderPool, Outgoing } from './outgoing.ts'
import { RecordEncoder, type Home } from './record-encoder.ts'
import { fingerprintOf, tableText } from './schemas.ts'
import type { Topics } from './topics.ts'

export interface WriterParts {
  readonly client: Client
  readonly names: Names
  readonly topics: Topics
  readonly follower: Follower
  readonly source: EnvelopeSource
  readonly compression: Compression
  readonly now: () => number
}

/** How long brokers keep an unfinished transaction of a capture that is gone, unless another takes over first. */
export const transactionTimeoutMs = 30_000

export class Writer {
  readonly #parts: WriterParts
  readonly #encoder: RecordEncoder
  readonly #builders = new BuilderPool()
  /** Of the next batch, by partition: brokers refuse what does not follow. */
  readonly #sequences = new Map<string, number>()
  #producer: Producer | undefined
  #control: Control | undefined
  #appends = 0
  readonly #last: LastTransaction
  #topics = new Map<string, TopicState>()
  #tables = new Set<string>()
  /** Topics whose new state goes out with the next append. */
  readonly #renewed = new Set<string>()
  /** Calls come one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: WriterParts) {
    this.#parts = parts
    this.#encoder = new RecordEncoder(parts.source)
    this.#last = new LastTransaction(parts.client)
  }

  /** Fences earlier writers; the last control record that is finished. */
  tail(): Promise<Control | undefined> {
    return this.#inTurn(() => this.#takeOver())
  }

  /** All of it in one transaction. After a rejection the log must be taken over again. */
  append(batch: LogBatch): Promise<number> {
    return this.#inTurn(() => this.#append(batch))
  }

  /** Where we write: topics that somebody deleted are made anew, so that whoever lacks what they held is told. */
  async mend(): Promise<void> {
    await this.#inTurn(async () => {
      const control = this.#control
      if (this.#producer === undefined || control === undefined || (await this.#isWhole())) return
      const { appends } = await this.#parts.follower.caughtUp()
      // Another process has taken the log over, and looks after it.
      if (appends > this.#appends) return
      await this.#takeOver()
      const nothing = { records: [], barriers: [], addressee: undefined, firstSeq: control.seq + 1 }
      await this.#append({ ...nothing, control })
    })
  }

  async close(): Promise<void> {
    await this.#parts.client.close()
  }

  #inTurn<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #takeOver(): Promise<Control | undefined> {
    const { client, names, follower } = this.#parts
    this.#producer = undefined
    const producer = await client.initProducer(names.transactionalId, transactionTimeoutMs)
    this.#sequences.clear()
    await this.#last.endAgain(producer)
    const state = await follower.caughtUp(true)
    this.#control = state.control
    this.#appends = state.appends
    this.#topics = new Map(state.topics)
    this.#tables = new Set(state.tables.keys())
    await this.#checkTopics()
    this.#producer = producer
    return this.#control
  }

  async #append(batch: LogBatch): Promise<number> {
    const producer = this.#producer
    if (producer === undefined) {
      throw new Failure('conflict', 'the log was not taken over: its tail is to be read first')
    }
    this.#producer = undefined
    const { names } = this.#parts
    const { lanes } = batch.control
    if (this.#control !== undefined && this.#control.lanes !== lanes)
      throw new Error('the number of lanes is fixed when a log begins')
    // A log that goes on from another one keeps nothing of what was before.
    const since = this.#control === undefined ? batch.firstSeq - 1 : 0
    await this.#topic(names.work, lanes, since)
    const outgoing = new Outgoing({
      producer,
      sequences: this.#sequences,
      builders: this.#builders,
      compression: this.#parts.compression,
      appendedAtMs: this.#parts.now(),
    })
    const changed = await this.#encode(batch, outgoing)
    this.#encodeControl(batch, changed, outgoing)
    outgoing.finish()
    const begunAtMs = this.#parts.now()
    try {
      await this.#write(producer, outgoing)
    } catch (error) {
      throw this.#isLate(error, begunAtMs) ? late(error) : error
    }
    this.#renewed.clear()
    this.#control = batch.control
    this.#appends++
    this.#parts.follower.expect(this.#appends)
    this.#producer = producer
    return batch.control.seq
  }

  /** Whether brokers may have undone it by themselves, as that of a process that was held up: to us it looks as if another took over. */
  #isLate(error: unknown, begunAtMs: number): boolean {
    const isFenced = hasCode(error, 'PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH')
    return isFenced && this.#parts.now() - begunAtMs >= transactionTimeoutMs
  }

  async #write(producer: Producer, outgoing: Outgoing): Promise<void> {
    const places = outgoing.partitions.map(({ topic, partition }) => ({ topic, partition }))
    await this.#last.begin(producer, places)
    try {
      await this.#produce(producer, outgoing)
    } catch (error) {
      // Readers wait for what is open; the next one to take over undoes it where this is not heard.
      await this.#last.end(producer, places, false).catch(() => {})
      throw error
    }
    await this.#last.end(producer, places, true)
  }

  /** Encodes the rows; answers what is new of topics and tables, by keys of the control topic. */
  async #encode(batch: LogBatch, outgoing: Outgoing): Promise<Map<string, string>> {
    const { names, now } = this.#parts
    const changed = new Map([...this.#renewed].map((name) => [topicKey(name), '']))
    const { epoch, lanes } = batch.control
    const work = outgoing.topic(names.work)
    const append = { epoch, lanes, addressee: batch.addressee ?? '', nowMs: now(), outgoing, work }
    let seq = batch.firstSeq
    for (const records of batch.records) {
      const homes = await this.#homesOf(records.tables, batch, { outgoing, changed })
      this.#encoder.encode(records, seq, homes, append)
      seq += records.count
    }
    this.#moveEnds(outgoing, changed)
    return changed
  }

  async #homesOf(
    tables: readonly Table[],
    { addressee, control }: LogBatch,
    { outgoing, changed }: { readonly outgoing: Outgoing; readonly changed: Map<string, string> },
  ): Promise<readonly Home[]> {
    const { names } = this.#parts
    const homes: Home[] = []
    for (const table of tables) {
      const topic = names.table(table.name)
      if (addressee === undefined) await this.#topic(topic, control.lanes)
      const fingerprint = fingerprintOf(table)
      if (!this.#tables.has(fingerprint)) {
        this.#tables.add(fingerprint)
        changed.set(tableKey(fingerprint), tableText(table))
      }
      homes.push({ topic: outgoing.topic(topic), fingerprint, headers: [], gtid: '' })
    }
    return homes
  }

  #moveEnds({ partitions }: Outgoing, changed: Map<string, string>): void {
    for (const { topic, partition, lastSeq } of partitions) {
      const known = this.#topics.get(topic)
      if (known === undefined) throw new Error(`nothing is known of ${topic}`)
      const ends = known.ends as number[]
      ends[partition] = lastSeq
      changed.set(topicKey(topic), '')
    }
  }

  #encodeControl(
    { control, barriers, firstSeq, records }: LogBatch,
    changed: ReadonlyMap<string, string>,
    outgoing: Outgoing,
  ): void {
    const { builder } = outgoing.topic(this.#parts.names.control).at(0)
    for (const [key, text] of changed) {
      const value = text === '' ? JSON.stringify(this.#topics.get(key.slice(topicKey('').length))) : text
      builder.add(Buffer.from(key), Buffer.from(value), noHeaders)
    }
    const firstBarrier = firstSeq + countOf(records)
    for (const [at, barrier] of barriers.entries()) {
      const seq = firstBarrier + at
      const known: KnownBarrier = { seq, epoch: control.epoch, appendedAtMs: this.#parts.now(), barrier }
      builder.add(Buffer.from(barrierKey(seq)), Buffer.from(JSON.stringify(known)), noHeaders)
    }
    builder.add(Buffer.from(controlKey), Buffer.from(controlText(control, this.#appends + 1)), noHeaders)
  }

  /** A request holds at most one batch of each partition. */
  async #produce({ transactionalId }: Producer, { partitions }: Outgoing): Promise<void> {
    for (let round = 0; ; round++) {
      const batches = partitions.flatMap(({ topic, partition, batches: own }) => {
        const batch = own[round]
        return batch === undefined ? [] : [{ topic, partition, batch }]
      })
      if (batches.length === 0) return
      await this.#parts.client.produce(transactionalId, batches)
    }
  }

  /** The topic is there, and it is the one that the log knows. */
  async #topic(name: string, partitions: number, since = 0): Promise<void> {
    if (this.#topics.has(name)) return
    const { topics, client } = this.#parts
    const { id } = await topics.records(name, partitions)
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition }))
    await this.#refuseStrangers(name, places, client)
    this.#topics.set(name, { id, ends: places.map(() => 0), since })
  }

  /** Records that no control record speaks of come from another log. */
  async #refuseStrangers(name: string, places: readonly Place[], client: Client): Promise<void> {
    const ends = await client.ends(places, 'last')
    const firsts = await client.ends(places, 'first')
    const filled = places.filter((place) => (ends.get(placeName(place)) ?? 0n) > 0n)
    if (filled.length === 0) return
    const limits = { waitMs: 0, bytes: 1, partitionBytes: 1 }
    const from = filled.map((place) => ({ ...place, offset: firsts.get(placeName(place)) ?? 0n }))
    const found = await client.fetch(from, limits)
    if (found.every((each) => each.find(() => true) === undefined)) return
    throw new Failure('conflict', `the topic ${name} holds records that this log did not write`, {
      remedy:
        'its control topic was deleted, or another log writes here: delete the topics of the log, or set another log.kafka.prefix',
    })
  }

  /** Whether every topic is the one that we know. */
  async #isWhole(): Promise<boolean> {
    const present = await this.#parts.client.topics([...this.#topics.keys()], true)
    return [...this.#topics].every(([name, { id }]) => present.get(name)?.id === id)
  }

  /** Topics that went, or came back as others, are made anew; what was lost with them is remembered. */
  async #checkTopics(): Promise<void> {
    const control = this.#control
    if (control === undefined) return
    const { client, topics } = this.#parts
    const present = await client.topics([...this.#topics.keys()], true)
    for (const [name, state] of this.#topics) {
      const found = present.get(name)
      if (found?.id === state.id) {
        await topics.records(name, control.lanes)
        this.#topics.set(name, { ...state, ends: [...state.ends] })
        continue
      }
      const { id } = await topics.records(name, control.lanes)
      this.#topics.set(name, { id, ends: state.ends.map(() => 0), since: control.seq })
      this.#renewed.add(name)
    }
  }
}

function late(cause: unknown): Failure {
  const seconds = transactionTimeoutMs / 1000
  return new Failure('transient', `an append was not done within ${seconds} s, after which brokers undo it`, {
    cause,
  })
}

const noHeaders = Buffer.from([0])
