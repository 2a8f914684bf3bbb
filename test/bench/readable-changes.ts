/** When changes of a topic could be read: an independent consumer, which is given only what is committed. */
import { compressionsAlgorithms } from '@platformatic/kafka'
import kafkajs, { CompressionTypes, type Consumer } from 'kafkajs'
import { independentClient } from '../support/kafka-options.ts'

export class ReadableChanges implements AsyncDisposable {
  readonly #consumer: Consumer
  readonly #times = new Map<string, number>()

  private constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  /** Reads an existing topic from its beginning; `column` names the key. */
  static async follow(broker: string, topic: string, column: string): Promise<ReadableChanges> {
    kafkajs.CompressionCodecs[CompressionTypes.LZ4] = lz4
    const consumer = independentClient(broker).consumer({ groupId: `readable-${topic}` })
    const followed = new ReadableChanges(consumer)
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachBatch: ({ batch }) => {
        const atMs = performance.now()
        for (const { key } of batch.messages) {
          const id = String((JSON.parse(String(key)) as Readonly<Record<string, unknown>>)[column])
          if (!followed.#times.has(id)) followed.#times.set(id, atMs)
        }
        return Promise.resolve()
      },
    })
    return followed
  }

  /** By `performance.now()`; undefined = it has not come yet. */
  at(id: string): number | undefined {
    return this.#times.get(id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#consumer.disconnect()
  }
}

/** kafkajs itself brings no lz4. */
const lz4 = () => ({
  compress: ({ buffer }: { readonly buffer: Buffer }) =>
    Promise.resolve(compressionsAlgorithms.lz4.compressSync(buffer)),
  decompress: (bytes: Buffer) => Promise.resolve(compressionsAlgorithms.lz4.decompressSync(bytes)),
})
