/** Writes operations to the index behind an alias, by bulk requests in which the higher version wins. */
import { BufferPool } from '../../change/buffer-pool.ts'
import { Failure } from '../../change/failure.ts'
import type { List } from '../../change/list.ts'
import { hasUnusual, type Operation, type Operations, type Outcome, type Sink } from '../sink.ts'
import { bulkParts, type BulkPart } from './bulk-body.ts'
import { bulkCall } from './bulk-call.ts'
import { failureOf, readBulk, refusal } from './outcomes.ts'
import type { Answer, SearchClient } from './search-client.ts'
import { findStrays, isFinished } from './strays.ts'

export interface SearchSinkOptions {
  readonly client: SearchClient
  readonly alias: string
  /** The index that is filled; another one behind the alias is a Failure of kind `target`. */
  readonly index: { readonly name: string; readonly uuid: string }
  readonly bulkBytesMax: number
  /**
   * Of a family of indexes: throws when what is behind the alias is not that family. Operations then name their indexes;
   * those that do not are only looked for.
   */
  readonly verify?: (signal: AbortSignal) => Promise<void>
}

export class SearchSink implements Sink {
  readonly #options: SearchSinkOptions
  readonly #path: string
  readonly #buffers = new BufferPool({ stepBytes: 64 * 1024, freeMax: 4 })
  #verifiedAtMs = -Infinity

  constructor(options: SearchSinkOptions) {
    this.#options = options
    this.#path = `/${encodeURIComponent(options.alias)}`
  }

  async write(operations: Operations, signal: AbortSignal): Promise<readonly Outcome[]> {
    await this.verified(signal)
    return hasUnusual(operations, ({ everywhere }) => everywhere === true)
      ? await this.#writeEverywhere([...operations], signal)
      : await this.#write(operations, signal)
  }

  /** Looks at the index again where the last look is too old to count. Throws when it is not the one that is filled. */
  async verified(signal: AbortSignal): Promise<void> {
    // A delete in an index that is gone would make the server create an empty one under the alias's name.
    if (performance.now() - this.#verifiedAtMs > verifiedForMs) await this.#verify(signal)
  }

  /** Documents of which nobody knows where they lie are looked for, and deleted where they are not to be. */
  async #writeEverywhere(operations: readonly Operation[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const { client, alias, verify } = this.#options
    const place = { client, alias, isFamily: verify !== undefined }
    const strays = await findStrays(place, operations, signal)
    const addressed = operations.filter((operation) => this.#isAddressed(operation))
    const written = (await this.#write(addressed, signal)).values()
    const outcomes = operations.map((each) =>
      this.#isAddressed(each) ? (written.next().value ?? applied) : applied,
    )
    const due = strays.filter((stray) => isFinished(outcomes[stray.of]))
    const deleted = await this.#write(
      due.map(({ operation }) => operation),
      signal,
    )
    for (const [at, stray] of due.entries()) {
      const outcome = deleted[at]
      if (outcome !== undefined && !isFinished(outcome)) outcomes[stray.of] = outcome
    }
    return outcomes
  }

  #isAddressed({ index }: Operation): boolean {
    return index !== undefined || this.#options.verify === undefined
  }

  async #write(operations: List<Operation>, signal: AbortSignal): Promise<readonly Outcome[]> {
    const outcomes: (readonly Outcome[])[] = []
    for (const part of bulkParts(operations, this.#options.bulkBytesMax, this.#buffers.take)) {
      const isAll = part.next - part.first === operations.length
      const sent = isAll ? operations : [...operations].slice(part.first, part.next)
      outcomes.push(await this.#send(part, sent, signal))
    }
    return outcomes.length === 1 && outcomes[0] !== undefined ? outcomes[0] : outcomes.flat()
  }

  /** Sends a request; one that is refused as a whole is halved until the documents to blame stand alone. */
  async #send(part: BulkPart, operations: List<Operation>, signal: AbortSignal): Promise<readonly Outcome[]> {
    const { client, alias, index, verify } = this.#options
    const isFamily = verify !== undefined
    const call = bulkCall(alias, isFamily)
    const answer = await client.send({ ...call, body: part.body, lines: true, writes: true }, signal)
    if (answer.status !== 200) return await this.#halve(answer, [...operations], signal)
    // The server has read all of it; after any other answer, bytes of it may still be on their way.
    this.#buffers.give(part.body)
    const place = { alias, index: isFamily ? undefined : index.name }
    const { outcomes, missed } = readBulk(answer.text, operations, place, part.deletes)
    if (missed) await this.#verify(signal)
    return outcomes
  }

  async #halve(
    answer: Answer,
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<readonly Outcome[]> {
    const refused = refusal(answer)
    if (refused === undefined) throw failureOf(answer, `writing to ${this.#options.alias}`)
    if (operations.length === 1) return [refused]
    const middle = operations.length >> 1
    const outcomes: Outcome[] = []
    for (const half of [operations.slice(0, middle), operations.slice(middle)]) {
      for (const part of bulkParts(half, Infinity, this.#buffers.take))
        outcomes.push(...(await this.#send(part, half, signal)))
    }
    return outcomes
  }

  /** Throws when the index behind the alias is not the one that this sink fills. */
  async #verify(signal: AbortSignal): Promise<void> {
    const { client, alias, index, verify } = this.#options
    if (verify !== undefined) {
      await verify(signal)
      this.#verifiedAtMs = performance.now()
      return
    }
    const answer = await client.send(
      { method: 'GET', path: `${this.#path}/_settings`, query: uuidQuery },
      signal,
    )
    if (answer.status !== 200) throw failureOf(answer, `looking at ${alias}`)
    const indexes = JSON.parse(answer.text) as Readonly<Record<string, IndexSettings>>
    const names = Object.keys(indexes)
    const [name] = names
    if (
      name === undefined ||
      names.length > 1 ||
      name === alias ||
      indexes[name]?.settings.index.uuid !== index.uuid
    )
      throw new Failure('target', `${alias} is not the index that was filled (${index.uuid})`, {
        remedy: 'restore that index behind the alias, or let the pipeline load the new one',
      })
    this.#verifiedAtMs = performance.now()
  }
}

/** How long a look at the index counts for the next requests. */
const verifiedForMs = 1000

const applied: Outcome = { kind: 'applied' }
const uuidQuery = { filter_path: '*.settings.index.uuid' }

interface IndexSettings {
  readonly settings: { readonly index: { readonly uuid: string } }
}
