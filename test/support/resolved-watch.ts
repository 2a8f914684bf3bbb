/**
 * Holds what a group has committed against the index, all the time: whatever change lies before a committed place must be
 * in the index, or overtaken there by a later one. Reads the topic as an independent client, only what is committed.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Consumer } from 'kafkajs'
import { independentClient, withAdmin } from './kafka-options.ts'
import type { SearchIndex } from './search-index.ts'

export interface ResolvedWatchOptions {
  readonly broker: string
  /** The topic of the table. */
  readonly topic: string
  /** The consumer group. */
  readonly group: string
  readonly index: SearchIndex
}

interface Seen {
  readonly id: string
  readonly version: bigint
  readonly isDelete: boolean
}

/** Versions are an epoch and a number that ascends; committed places name the number. */
const seqMask = (1n << 48n) - 1n
const explainedMsMax = 30_000

export class ResolvedWatch implements AsyncDisposable {
  readonly #options: ResolvedWatchOptions
  readonly #consumer: Consumer
  readonly #stop = new AbortController()
  /** By partition, changes that are not held against the index yet. */
  readonly #open = new Map<number, Seen[]>()
  /** Versions of deletes, by id. */
  readonly #deleted = new Map<string, bigint>()
  /** Had no document when a place behind them was committed: a delete must explain it. */
  readonly #absent: Seen[] = []
  readonly #violations: string[] = []
  #checked = 0
  #running: Promise<void> | undefined

  constructor(options: ResolvedWatchOptions) {
    this.#options = options
    this.#consumer = independentClient(options.broker).consumer({ groupId: `watch-${randomUUID()}` })
  }

  /** How many changes were held against the index. */
  get checked(): number {
    return this.#checked
  }

  /** Resolves when the topic is there, with the table's first change, and is being read. */
  async start(): Promise<void> {
    const { broker, topic } = this.#options
    while (!(await withAdmin(broker, (admin) => admin.listTopics())).includes(topic)) await delay(200)
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topic, fromBeginning: true })
    await this.#consumer.run({
      eachMessage: ({ partition, message }) => {
        const [id] = Object.values(JSON.parse(message.key?.toString() ?? '{}') as Record<string, unknown>)
        const { op } = JSON.parse(message.value?.toString() ?? '{}') as { readonly op?: string }
        const version = BigInt(message.headers?.['version']?.toString() ?? '0')
        this.#see(partition, { id: String(id), version, isDelete: op === 'd' })
        return Promise.resolve()
      },
    })
    this.#running = this.#run()
  }

  /** Looks once more at what is committed by then. What must be empty: changes that were passed and are not there. */
  async stop(): Promise<readonly string[]> {
    this.#stop.abort()
    await this.#running
    await this.#look()
    // The delete that explains it may not have been read yet.
    const lateAtMs = performance.now() + explainedMsMax
    while (this.#unexplained.length > 0 && performance.now() < lateAtMs) await delay(100)
    return [
      ...this.#violations,
      ...this.#unexplained.map(
        ({ id, version }) => `document ${id} of version ${version} was passed and not there`,
      ),
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running?.catch(() => undefined)
    await this.#consumer.disconnect()
  }

  get #unexplained(): readonly Seen[] {
    return this.#absent.filter(({ id, version }) => (this.#deleted.get(id) ?? 0n) < version)
  }

  #see(partition: number, seen: Seen): void {
    const open = this.#open.get(partition) ?? []
    this.#open.set(partition, open)
    open.push(seen)
    if (seen.isDelete) this.#deleted.set(seen.id, seen.version)
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look()
      await delay(500, undefined, { signal: this.#stop.signal }).catch(() => undefined)
    }
  }

  async #look(): Promise<void> {
    const { broker, group: groupId, topic } = this.#options
    const [found] = await withAdmin(broker, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
    const passed: Seen[] = []
    for (const { partition, metadata } of found?.partitions ?? []) {
      const next = BigInt(metadata?.split(' ')[1] ?? '0')
      const open = this.#open.get(partition) ?? []
      passed.push(...open.filter(({ version }) => (version & seqMask) <= next))
      this.#open.set(
        partition,
        open.filter(({ version }) => (version & seqMask) > next),
      )
    }
    if (passed.length > 0) await this.#hold(passed)
  }

  /** A later change of a document covers the earlier ones. */
  async #hold(passed: readonly Seen[]): Promise<void> {
    const last = new Map(passed.map((seen) => [seen.id, seen]))
    const versions = await this.#options.index.versionsIfServing([...last.keys()])
    if (versions === undefined) throw new Error('the index was asked for versions and does not serve')
    this.#checked += passed.length
    for (const seen of last.values()) {
      const version = versions.get(seen.id)
      if (version === undefined) {
        if (!seen.isDelete) this.#absent.push(seen)
      } else if (version < seen.version)
        this.#violations.push(`document ${seen.id} is ${version}, and ${seen.version} was passed`)
    }
  }
}
