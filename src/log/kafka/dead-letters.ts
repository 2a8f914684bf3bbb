/**
 * Dead letters in a compacted topic of their own, by group and id: outside retention, and readable by every process. What
 * is kept here of each is where it lies: documents would fill the memory, and are read again when they are listed.
 */
import type { DeadLetter, DeadLetters } from '../log.ts'
import { algorithms } from './algorithms.ts'
import type { Client } from './client.ts'
import type { Fetched } from './committed-records.ts'
import type { FetchedRecord } from './fetched-batch.ts'
import { placeName, type Place } from './connections.ts'
import { BatchBuilder } from './record-batch.ts'

/** As it lies in the topic: packed, so that what comes out may be many times as much. */
const fetchBytes = 2 ** 18
const noHeaders = Buffer.from([0])

export class TopicDeadLetters implements DeadLetters {
  readonly #client: Client
  readonly #topic: () => Promise<string>
  /** The letters that were read so far, by group and id. */
  readonly #kept = new Map<string, Map<string, Kept>>()
  #next = 0n
  #reading: Promise<void> = Promise.resolve()

  constructor(client: Client, topic: () => Promise<string>) {
    this.#client = client
    this.#topic = topic
  }

  async put(group: string, letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return
    const before = await this.#of(group)
    const merged = new Map<string, DeadLetter>()
    for (const letter of letters) {
      const earlier = merged.get(letter.id) ?? before.get(letter.id)
      merged.set(
        letter.id,
        earlier === undefined
          ? letter
          : { ...letter, firstAtMs: earlier.firstAtMs, attempts: earlier.attempts + letter.attempts },
      )
    }
    await this.#write(group, [...merged])
  }

  async settle(group: string, ids: readonly string[]): Promise<void> {
    const before = await this.#of(group)
    const known = [...new Set(ids)].filter((id) => before.has(id))
    if (known.length > 0)
      await this.#write(
        group,
        known.map((id) => [id, undefined]),
      )
  }

  async count(group: string): Promise<number> {
    return (await this.#of(group)).size
  }

  async *list(group: string): AsyncGenerator<DeadLetter> {
    // What is put aside meanwhile is left to the next list.
    const kept = new Map(await this.#of(group))
    const end = this.#next
    for (let next = 0n; kept.size > 0 && next < end;) {
      const page = await this.#page(next)
      for (const { offset, key, value } of page.records) {
        const [of = '', id = ''] = namesIn(key)
        if (of !== group || value === null || kept.get(id)?.offset !== offset) continue
        kept.delete(id)
        yield letterOf(value.toString('utf8'))
      }
      next = page.next
    }
  }

  async #of(group: string): Promise<ReadonlyMap<string, Kept>> {
    // One after the other: each reads on from where the one before has come.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#read())
    await this.#reading
    return this.#kept.get(group) ?? new Map<string, Kept>()
  }

  async #read(): Promise<void> {
    const place = await this.#place()
    const end = (await this.#client.ends([place], 'last')).get(placeName(place)) ?? 0n
    while (this.#next < end) {
      const { records, next } = await this.#page(this.#next)
      for (const record of records) this.#take(record)
      this.#next = next
    }
  }

  async #place(): Promise<Place> {
    return { topic: await this.#topic(), partition: 0 }
  }

  /** What lies at this offset and behind it, up to some bytes. */
  async #page(offset: bigint): Promise<Pick<Fetched, 'records' | 'next'>> {
    const limits = { waitMs: 0, bytes: fetchBytes, partitionBytes: fetchBytes }
    const [page] = await this.#client.fetch([{ ...(await this.#place()), offset }], limits)
    return page ?? { records: [], next: offset }
  }

  #take({ offset, key, value }: FetchedRecord): void {
    const [group = '', id = ''] = namesIn(key)
    const own = this.#kept.get(group) ?? new Map<string, Kept>()
    this.#kept.set(group, own)
    if (value === null) own.delete(id)
    else {
      const { firstAtMs, attempts } = letterOf(value.toString('utf8'))
      own.set(id, { offset, firstAtMs, attempts })
    }
  }

  async #write(
    group: string,
    letters: readonly (readonly [string, DeadLetter | undefined])[],
  ): Promise<void> {
    const builder = new BatchBuilder()
    for (const [id, letter] of letters) {
      const value = letter === undefined ? undefined : Buffer.from(JSON.stringify(letter))
      builder.add(Buffer.from(JSON.stringify([group, id])), value, noHeaders)
      if (builder.at >= batchBytes) await this.#send(builder)
    }
    if (builder.count > 0) await this.#send(builder)
  }

  async #send(builder: BatchBuilder): Promise<void> {
    const batch = plainBatch(builder)
    await this.#client.produce(null, [{ topic: await this.#topic(), partition: 0, batch }])
  }
}

/** What is known of a letter without reading it again. */
interface Kept extends Pick<DeadLetter, 'firstAtMs' | 'attempts'> {
  readonly offset: bigint
}

/** The group and the id. */
function namesIn(key: Buffer): readonly string[] {
  return JSON.parse(key.toString('utf8')) as readonly string[]
}

/** JSON leaves out that a delete has no document. */
function letterOf(text: string): DeadLetter {
  return { document: undefined, ...(JSON.parse(text) as Omit<DeadLetter, 'document'>) }
}

const batchBytes = 512 * 1024

/** A batch outside of transactions. */
export function plainBatch(builder: BatchBuilder): Buffer {
  return builder.finish({
    producer: undefined,
    firstSequence: -1,
    appendedAtMs: Date.now(),
    compressionBits: algorithms.compressionBits('lz4'),
    compress: (bytes) => algorithms.compress('lz4', bytes),
    crc: algorithms.crc,
  })
}
