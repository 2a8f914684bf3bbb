/** Writes to the indexes of a family: makes those that are needed for the first time, drops those that have had their time. */
import type { List } from '../../change/list.ts'
import type { Operation, Outcome, Sink } from '../sink.ts'
import {
  dropMember,
  familyMark,
  isExpired,
  makeMember,
  membersOfFamily,
  otherFamily,
  type FamilyPlace,
} from './family.ts'
import { SearchSink } from './search-sink.ts'

export interface FamilySinkOptions {
  readonly place: FamilyPlace
  /** The number of the family. */
  readonly uuid: string
  readonly bulkBytesMax: number
  /** Tells ms since 1970. */
  readonly clock: { now(): number }
}

export class FamilySink implements Sink {
  readonly #options: FamilySinkOptions
  readonly #sink: SearchSink
  #members: ReadonlySet<string> = new Set()

  constructor(options: FamilySinkOptions) {
    const { place, uuid, bulkBytesMax } = options
    this.#options = options
    const verify = async (signal: AbortSignal): Promise<void> => await this.#verify(signal)
    const index = { name: `${place.prefix}*`, uuid }
    this.#sink = new SearchSink({ client: place.client, alias: place.alias, index, bulkBytesMax, verify })
  }

  async write(listed: List<Operation>, signal: AbortSignal): Promise<readonly Outcome[]> {
    const operations = [...listed]
    await this.#sink.verified(signal)
    await this.#makeNew(operations, signal)
    const sent = operations.filter((operation) => this.#isSent(operation))
    const outcomes = sent.length === 0 ? [] : await this.#sink.write(sent, signal)
    let next = 0
    return operations.map((operation) => (this.#isSent(operation) ? (outcomes[next++] ?? done) : done))
  }

  /** Where there is no index there is nothing to delete, and what is too old is not kept. */
  #isSent({ index, everywhere }: Operation): boolean {
    if (index !== undefined) return this.#members.has(index)
    return everywhere === true && this.#members.size > 0
  }

  async #makeNew(operations: readonly Operation[], signal: AbortSignal): Promise<void> {
    const { place, clock } = this.#options
    const wanted = new Set(operations.flatMap(({ op, index }) => (op === 'index' ? (index ?? []) : [])))
    const missing = [...wanted].filter(
      (name) => !this.#members.has(name) && !isExpired(place, name, clock.now()),
    )
    for (const name of missing) await makeMember(place, name, signal)
    if (missing.length > 0) await this.#verify(signal)
  }

  /** Throws when what is behind the alias is not the family that this sink fills. */
  async #verify(signal: AbortSignal): Promise<void> {
    const { place, uuid, clock } = this.#options
    const [mark, members] = await Promise.all([familyMark(place, signal), membersOfFamily(place, signal)])
    const strangers = members.filter((member) => member.mark?.family !== uuid)
    if (mark?.family !== uuid || strangers.length > 0)
      throw otherFamily(
        place.alias,
        strangers.map(({ name }) => name),
      )
    const names = new Set(members.map(({ name }) => name))
    for (const name of names) {
      if (!isExpired(place, name, clock.now())) continue
      await dropMember(place, name, signal)
      names.delete(name)
    }
    this.#members = names
  }
}

const done: Outcome = { kind: 'applied' }
