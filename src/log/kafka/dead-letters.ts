/** Dead letters in a compacted topic of their own, by group and id: outside retention, and readable by every process. */
import type { DeadLetter, DeadLetters } from '../log.ts'
import { algorithms, type Client } from './client.ts'
import { placeName } from './connections.ts'
import { BatchBuilder } from './record-batch.ts'

const fetchBytes = 8 * 2 ** 20
const noHeaders = Buffer.from([0])

export class TopicDeadLetters implements DeadLetters {
  readonly #client: Client
  readonly #topic: () => Promise<string>
  /** What was read so far, by group and id. */
  readonly #letters = new Map<string, Map<string, DeadLetter>>()
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
    yield* (await this.#of(group)).values()
  }

  async #of(group: string): Promise<ReadonlyMap<string, DeadLetter>> {
    // One after the other: each reads on from where the one before has come.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#read())
    await this.#reading
    return this.#letters.get(group) ?? new Map<string, DeadLetter>()
  }

  async #read(): Promise<void> {
    const place = { topic: await this.#topic(), partition: 0 }
    const end = (await this.#client.ends([place], 'last')).get(placeName(place)) ?? 0n
    while (this.#next < end) {
      const limits = { waitMs: 0, bytes: fetchBytes, partitionBytes: fetchBytes }
      for (const { records, next } of await this.#client.fetch([{ ...place, offset: this.#next }], limits)) {
        for (const { key, value } of records) this.#take(key, value)
        this.#next = next
      }
    }
  }

  #take(key: Buffer, value: Buffer | null): void {
    const [group = '', id = ''] = JSON.parse(key.toString('utf8')) as readonly string[]
    const own = this.#letters.get(group) ?? new Map<string, DeadLetter>()
    this.#letters.set(group, own)
    if (value === null) own.delete(id)
    else own.set(id, letterOf(value.toString('utf8')))
  }

  async #write(
    group: string,
    letters: readonly (readonly [string, DeadLetter | undefined])[],
  ): Promise<void> {
    const builder = new BatchBuilder()
    for (const [id, letter] of letters) {
      const value = letter === undefined ? undefined : Buffer.from(JSON.stringify(letter))
      builder.add(Buffer.from(JSON.stringify([group, id])), value, noHeaders)
      if (builder.bytes >= batchBytes) await this.#send(builder)
    }
    if (builder.count > 0) await this.#send(builder)
  }

  async #send(builder: BatchBuilder): Promise<void> {
    const batch = plainBatch(builder)
    await this.#client.produce(null, [{ topic: await this.#topic(), partition: 0, batch }])
  }
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
