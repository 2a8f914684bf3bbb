/**
 * A Source over topics that Debezium's connector for MySQL or MariaDB fills. Its position is the topics' offsets; the beginning
 * of a topic is the first load. Nothing but the stream can be read.
 */
import { setTimeout as timer } from 'node:timers/promises'
import type { Barrier, Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { RecordsBuilder } from '../../change/records.ts'
import type {
  Finding,
  Headroom,
  Source,
  SourceAdmin,
  SourceBatch,
  StreamOnly,
  TableDescription,
} from '../source.ts'
import {
  coversOffsets,
  parseOffsets,
  positionOf,
  showOffsets,
  type Offsets,
  type TopicOffsets,
} from './offsets.ts'
import { TableReader, type TableReaderOptions } from './table-reader.ts'
import {
  endAt,
  type FetchedMessages,
  type FoundTopic,
  type Message,
  type Place,
  type Topics,
} from './topics.ts'

export interface DebeziumSettings {
  /** Of a topic; `{table}` stands for `schema.table`. */
  readonly topic: string
  readonly tables: readonly TableReaderOptions[]
}

/** Messages are waited for so long at a time; a silent source says after that that it is alive. */
const waitMs = 500
const fetchBytes = 4 * 2 ** 20
const partitionBytes = 2 ** 20
/** A piece of the stream ends at this size. */
const pieceBytes = 2 ** 18
/** After a failure that may pass. */
const pauseMs = 1_000

export function createDebeziumSource(settings: DebeziumSettings, topics: Topics): Source & SourceAdmin {
  return new DebeziumSource(settings, topics)
}

interface Watched {
  readonly topic: string
  readonly table: string
  readonly reader: TableReader
}

class DebeziumSource implements Source, SourceAdmin {
  readonly streamOnly: StreamOnly
  readonly #topics: Topics
  readonly #watched: readonly Watched[]

  constructor({ topic, tables }: DebeziumSettings, topics: Topics) {
    this.#topics = topics
    this.#watched = tables.map((options) => ({
      topic: topic.replaceAll('{table}', options.table),
      table: options.table,
      reader: new TableReader(options),
    }))
    this.streamOnly = {
      why: 'the source is a topic: rows can be read from its messages alone, in their order',
      beginning: () => this.#whole(),
    }
  }

  async *read(
    from: Position,
    signal: AbortSignal,
    interrupted: (failure: Failure) => void = () => undefined,
  ): AsyncGenerator<SourceBatch> {
    const offsets: Map<string, TopicOffsets> = new Map(parseOffsets(from))
    while (!signal.aborted) {
      try {
        yield* this.#stream(offsets, signal)
      } catch (error) {
        if (!(error instanceof Failure) || error.kind !== 'transient') throw error
        interrupted(error)
        await timer(pauseMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** Moves the offsets along with what it gives. */
  async *#stream(offsets: Map<string, TopicOffsets>, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    await this.#begin(offsets)
    while (!signal.aborted) {
      const wanted = [...offsets].flatMap(([topic, { next }]) =>
        next.map((offset, partition) => ({ topic, partition, offset })),
      )
      const fetched = await this.#topics.fetch(wanted, { waitMs, bytes: fetchBytes, partitionBytes })
      for (const each of fetched) yield* this.#pieces(each, offsets, signal)
      if (signal.aborted) return
      // Whether it is still the same topic, with the same partitions, and a sign of life.
      await this.#check(offsets)
      yield { records: [], barriers: [], position: positionOf(offsets), bytes: 0 }
    }
  }

  /** Every topic that is read, at its place; one that is new to the position is read from its beginning. */
  async #begin(offsets: Map<string, TopicOffsets>): Promise<void> {
    const firsts = await this.#ends('first')
    for (const topic of offsets.keys()) if (!firsts.has(topic)) offsets.delete(topic)
    for (const [topic, first] of firsts) {
      const own = offsets.get(topic) ?? first
      offsets.set(topic, own)
      if (own.next.some((next, partition) => next < (first.next[partition] ?? 0n))) throw dropped(topic)
    }
    await this.#check(offsets)
    for (const watched of this.#watched) await this.#learn(watched, firsts)
  }

  /** What a tombstone means is told by messages of rows. Whatever is wrong with one is told where the stream comes to it. */
  async #learn(watched: Watched, firsts: Offsets): Promise<void> {
    if (watched.reader.form !== undefined) return
    const lasts = await this.#ends('finished')
    try {
      await this.#tableIn(watched, at(firsts, watched.topic), at(lasts, watched.topic))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
    }
  }

  async #check(offsets: Offsets): Promise<void> {
    const found = await this.#found(true)
    for (const [topic, { id, next }] of offsets) {
      const now = found.get(topic)
      if (now === undefined)
        throw new Failure('transient', `the brokers know no topic ${topic} at present`, { remedy: readAnew })
      if (now.id !== id) throw new Failure('lost', `the topic ${topic} was made anew`, { remedy: readAnew })
      if (now.leaders.length !== next.length)
        throw new Failure(
          'lost',
          `the topic ${topic} has ${now.leaders.length} partitions, and had ${next.length}: keys have moved`,
          { remedy: readAnew },
        )
    }
  }

  /** What was fetched of a partition, in pieces; moves the offsets along. */
  *#pieces(
    fetched: FetchedMessages,
    offsets: Map<string, TopicOffsets>,
    signal: AbortSignal,
  ): Generator<SourceBatch> {
    const { topic, partition, records, next } = fetched
    const watched = this.#watched.filter((each) => each.topic === topic)
    const builder = new RecordsBuilder()
    const piece = (to: bigint, barriers: readonly Barrier[]): SourceBatch => {
      const own = at(offsets, topic)
      if (to < (own.next[partition] ?? 0n)) throw new Error('offsets never go back')
      offsets.set(topic, { id: own.id, next: own.next.with(partition, to) })
      const made = builder.count === 0 ? [] : [builder.finish()]
      const bytes = made.reduce((sum, { bytes: content }) => sum + content.length, 0)
      return { records: made, barriers, position: positionOf(offsets), bytes }
    }
    for (const message of records) {
      if (signal.aborted) return
      const barriers: Barrier[] = []
      for (const { table, reader } of watched)
        if (readMessage(reader, { message, topic, partition }, builder) === 'truncated')
          barriers.push(this.#truncated(table, at(offsets, topic)))
      if (barriers.length > 0 || builder.at >= pieceBytes) yield piece(message.offset + 1n, barriers)
    }
    const before = at(offsets, topic).next[partition] ?? 0n
    if (next > before && !signal.aborted) yield piece(next, [])
  }

  /** It stands in one partition, and says nothing of where it belongs in the others. */
  #truncated(table: string, { next }: TopicOffsets): Barrier {
    if (next.length === 1) return { table, statement: `TRUNCATE TABLE ${table}`, effect: { kind: 'emptied' } }
    throw new Failure(
      'unsupported',
      `${table} was truncated, and its topic has ${next.length} partitions: nothing says what came before`,
      { remedy: readAnew },
    )
  }

  async head(): Promise<Position> {
    return positionOf(await this.#ends('finished'))
  }

  async earliest(): Promise<Position> {
    return positionOf(await this.#ends('first'))
  }

  async #whole(): Promise<Position> {
    const firsts = await this.#ends('first')
    for (const [topic, { next }] of firsts) {
      if (next.every((offset) => offset === 0n)) continue
      throw new Failure('lost', `the topic ${topic} no longer has its beginning, and so not every row`, {
        remedy:
          'let the connector take a new snapshot into a new topic; or take what is there: policy.start: earliest',
      })
    }
    return positionOf(firsts)
  }

  chunk(): Promise<never> {
    return this.#refuse()
  }

  rows(): Promise<never> {
    return this.#refuse()
  }

  view(): Promise<never> {
    return this.#refuse()
  }

  describeQuestion(): Promise<never> {
    return this.#refuse()
  }

  explainQuestion(): Promise<never> {
    return this.#refuse()
  }

  #refuse(): Promise<never> {
    return Promise.reject(new Failure('unsupported', this.streamOnly.why, { remedy: readAnew }))
  }

  covers(position: Position, other: Position): boolean {
    return coversOffsets(parseOffsets(position), parseOffsets(other))
  }

  parse(text: string): Position {
    const position = text as Position
    parseOffsets(position)
    return position
  }

  show(position: Position): string {
    return showOffsets(position)
  }

  async describe(name: string): Promise<TableDescription> {
    const watched = this.#watched.find(({ table }) => table === name)
    if (watched === undefined) throw new Failure('configuration', `the source does not read ${name}`)
    const [firsts, lasts] = [await this.#ends('first'), await this.#ends('finished')]
    const [first, last] = [at(firsts, watched.topic), at(lasts, watched.topic)]
    const table = watched.reader.form?.table ?? (await this.#tableIn(watched, first, last))
    const rowsEstimate = last.next.reduce((sum, next, partition) => {
      return sum + Number(next - (first.next[partition] ?? 0n))
    }, 0)
    return { table, excluded: [], rowsEstimate }
  }

  /** The table as one of the last messages describes it. */
  async #tableIn(
    { topic, table, reader }: Watched,
    first: TopicOffsets,
    last: TopicOffsets,
  ): Promise<TableDescription['table']> {
    for (const back of [50n, 5_000n, 1n << 62n])
      for (const [partition, end] of last.next.entries()) {
        const begin = first.next[partition] ?? 0n
        const offset = end - back > begin ? end - back : begin
        if (offset < end) await this.#readOnce(reader, { topic, partition, offset })
        if (reader.form !== undefined) return reader.form.table
      }
    throw new Failure(
      'transient',
      `the topic ${topic} has no message yet: nothing is known of the columns of ${table}`,
    )
  }

  async #readOnce(reader: TableReader, from: Place & { readonly offset: bigint }): Promise<void> {
    const fetched = await this.#topics.fetch([from], { waitMs, bytes: fetchBytes, partitionBytes })
    const nowhere = new RecordsBuilder()
    for (const { records } of fetched)
      for (const message of records)
        if (message.value !== null) readMessage(reader, { ...from, message }, nowhere)
  }

  indexes(): Promise<readonly (readonly string[])[]> {
    return Promise.resolve([])
  }

  async examine(): Promise<readonly Finding[]> {
    const findings: Finding[] = []
    try {
      const found = await this.#found(true)
      for (const { topic } of this.#watched) findings.push(findingOf(topic, found.get(topic)))
      if (findings.every(({ level }) => level === 'ok')) findings.push(await this.#beginnings())
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      const remedies = error.remedy === undefined ? {} : { remedies: { kafka: error.remedy } }
      findings.push({ level: 'fatal', fact: 'brokers', found: error.message, ...remedies })
    }
    return findings
  }

  async #beginnings(): Promise<Finding> {
    const cut = [...(await this.#ends('first'))].filter(([, { next }]) => next.some((offset) => offset > 0n))
    if (cut.length === 0) return { level: 'ok', fact: 'beginning', found: 'every topic is whole' }
    const found = `gone from ${cut.map(([topic]) => topic).join(', ')}: a first load would lack rows`
    return { level: 'warning', fact: 'beginning', found }
  }

  headroom(): Promise<Headroom> {
    return Promise.resolve({ keptSeconds: undefined, behindBytes: undefined })
  }

  close(): Promise<void> {
    return this.#topics.close()
  }

  async #found(fresh: boolean): Promise<ReadonlyMap<string, FoundTopic>> {
    return await this.#topics.topics(
      this.#watched.map(({ topic }) => topic),
      fresh,
    )
  }

  async #ends(which: 'first' | 'finished'): Promise<ReadonlyMap<string, TopicOffsets>> {
    const found = await this.#found(false)
    const places: Place[] = this.#watched.flatMap(({ topic }) => {
      const { leaders } = found.get(topic) ?? missing(topic)
      return leaders.map((_, partition) => ({ topic, partition }))
    })
    const ends = await this.#topics.ends(places, which)
    return new Map(
      [...found].map(([topic, { id, leaders }]) => {
        const next = leaders.map((_, partition) => endAt(ends, { topic, partition }))
        return [topic, { id, next }]
      }),
    )
  }
}

const readAnew =
  'read the topic anew: stop, delete the index and the log of the source (its folder under state/log, or its topics), start'

function readMessage(
  reader: TableReader,
  { message, topic, partition }: Place & { readonly message: Message },
  into: RecordsBuilder,
): ReturnType<TableReader['read']> {
  try {
    return reader.read(message, into)
  } catch (cause) {
    const where = `${topic}, partition ${partition}, offset ${message.offset}`
    const { message: why, remedy } =
      cause instanceof Failure ? cause : { message: String(cause), remedy: undefined }
    const passes = cause instanceof Failure && cause.kind === 'transient'
    throw new Failure(passes ? 'transient' : 'unsupported', `${where}: ${why}`, {
      cause,
      ...(remedy === undefined ? {} : { remedy }),
    })
  }
}

function at(offsets: Offsets, topic: string): TopicOffsets {
  return offsets.get(topic) ?? missing(topic)
}

function missing(topic: string): never {
  throw new Failure('configuration', `there is no topic ${topic}`, {
    remedy: 'name it as the connector does: sources.NAME.topic, in which {table} stands for schema.table',
  })
}

function dropped(topic: string): Failure {
  return new Failure('lost', `retention dropped messages of ${topic} that were not read`, {
    remedy: readAnew,
  })
}

function findingOf(topic: string, found: FoundTopic | undefined): Finding {
  if (found !== undefined)
    return { level: 'ok', fact: `topic ${topic}`, found: `${found.leaders.length} partition(s)` }
  const remedies = { kafka: 'name it as the connector does: sources.NAME.topic' }
  return { level: 'fatal', fact: `topic ${topic}`, found: 'missing', remedies }
}
