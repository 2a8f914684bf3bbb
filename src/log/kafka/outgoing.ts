/** What an append writes, by topic and partition, in batches. */
import { algorithms, type Compression } from './algorithms.ts'
import type { Producer } from './client.ts'
import { placeName, type Place } from './connections.ts'
import { BatchBuilder } from './record-batch.ts'

/** A batch is closed at this size: far below what brokers take, so that only a single row can be too large. */
const batchBytes = 512 * 1024

/** What is to be written to one partition, in order. */
export interface OutgoingPartition extends Place {
  readonly builder: BatchBuilder
  /** Those that are closed. */
  readonly batches: Buffer[]
  /** Of the last record; 0 = none has a number. */
  lastSeq: number
}

export interface OutgoingParts {
  readonly producer: Producer
  /** Of the next batch, by partition: brokers refuse what does not follow. */
  readonly sequences: Map<string, number>
  readonly builders: BuilderPool
  readonly compression: Compression
  readonly appendedAtMs: number
}

export class Outgoing {
  readonly #parts: OutgoingParts
  readonly #topics = new Map<string, OutgoingTopic>()

  constructor(parts: OutgoingParts) {
    this.#parts = parts
  }

  topic(name: string): OutgoingTopic {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    const made = new OutgoingTopic(name, this.#parts.builders)
    this.#topics.set(name, made)
    return made
  }

  /** All that something is written to. */
  get partitions(): readonly OutgoingPartition[] {
    return [...this.#topics.values()].flatMap(({ partitions }) => partitions)
  }

  /** Closes a batch that is large enough. */
  added(out: OutgoingPartition): void {
    if (out.builder.at >= batchBytes) this.#close(out)
  }

  /** Closes all; nothing is added any more. */
  finish(): void {
    for (const out of this.partitions) {
      if (out.builder.count > 0) this.#close(out)
      this.#parts.builders.give(out.builder)
    }
  }

  #close(out: OutgoingPartition): void {
    const { builder, batches } = out
    const { producer, sequences, compression, appendedAtMs } = this.#parts
    const place = placeName(out)
    const firstSequence = sequences.get(place) ?? 0
    sequences.set(place, (firstSequence + builder.count) % 0x8000_0000)
    batches.push(
      builder.finish({
        producer,
        firstSequence,
        appendedAtMs,
        compressionBits: algorithms.compressionBits(compression),
        compress: (bytes) => algorithms.compress(compression, bytes),
        crc: algorithms.crc,
      }),
    )
  }
}

export class OutgoingTopic {
  readonly #name: string
  readonly #builders: BuilderPool
  readonly #byNumber: OutgoingPartition[] = []
  readonly partitions: OutgoingPartition[] = []

  constructor(name: string, builders: BuilderPool) {
    this.#name = name
    this.#builders = builders
  }

  at(partition: number): OutgoingPartition {
    return this.#byNumber[partition] ?? this.#begin(partition)
  }

  #begin(partition: number): OutgoingPartition {
    const begun = { topic: this.#name, partition, builder: this.#builders.take(), batches: [], lastSeq: 0 }
    this.#byNumber[partition] = begun
    this.partitions.push(begun)
    return begun
  }
}

/** Builders that are empty again: their buffers have the size that batches come to. */
export class BuilderPool {
  readonly #free: BatchBuilder[] = []

  take(): BatchBuilder {
    return this.#free.pop() ?? new BatchBuilder()
  }

  /** Keeps a few, and none that a huge row has blown up. */
  give(builder: BatchBuilder): void {
    if (this.#free.length < freeMax && builder.bytes.length <= 2 * batchBytes) this.#free.push(builder)
  }
}

const freeMax = 8
