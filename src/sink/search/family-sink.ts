/** Writes to the indexes of a family: makes those that are needed for the first time, drops those that have had their time. */
import type { List } from '../../change/list.ts'
import type { Operation, Outcome, Sink } from '../sink.ts'
import {
  assertBehind,
  assertFamily,
  dropMember,
  isExpired,
  makeMember,
  membersOfFamily,
  templateOfFamily,
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
    const { place } = this.#options
    const operations = [...listed]
    await this.#sink.verified(signal)
    await this.#makeNew(operations, signal)
    // Another process may have made an index since the last look, and what it wrote there is to be deleted.
    if (operations.some((each) => each.op === 'delete' && !this.#isSent(each))) await this.#verify(signal)
    const wanted = operations.map((operation) => this.#kept(operation))
    const sent = new Set(wanted.filter((operation) => this.#isSent(operation)))
    if (sent.size === 0) return operations.map(() => done)
    const outcomes = await this.#sink.write([...sent], signal)
    // A server makes an index that went missing meanwhile, with the template or without.
    await this.#verify(signal)
    assertBehind(place, this.#members, namesIn(sent))
    let next = 0
    return wanted.map((operation) => (sent.has(operation) ? (outcomes[next++] ?? done) : done))
  }

  /** A document that came into a period that is not kept is nowhere any more, wherever it was. */
  #kept(operation: Operation): Operation {
    const { op, id, version, repeatable, everywhere } = operation
    if (op === 'delete' || everywhere !== true || this.#isSent(operation)) return operation
    return { op: 'delete', id, version, routing: undefined, repeatable, everywhere, body: undefined }
  }

  /** Where there is no index there is nothing to delete, and what is too old is not kept. */
  #isSent({ index, everywhere }: Operation): boolean {
    if (index !== undefined) return this.#members.has(index)
    return everywhere === true && this.#members.size > 0
  }

  async #makeNew(operations: readonly Operation[], signal: AbortSignal): Promise<void> {
    const { place, uuid, clock } = this.#options
    const missing = namesIn(operations).filter(
      (name) => !this.#members.has(name) && !isExpired(place, name, clock.now()),
    )
    if (missing.length === 0) return
    const template = await templateOfFamily(place, signal)
    assertFamily(place, uuid, { template, members: [] })
    for (const name of missing) await makeMember(place, { name, body: template?.body ?? '{}' }, signal)
    await this.#verify(signal)
    assertBehind(place, this.#members, missing)
  }

  /** Throws when what is behind the alias is not the family that this sink fills. */
  async #verify(signal: AbortSignal): Promise<void> {
    const { place, uuid, clock } = this.#options
    const [template, members] = await Promise.all([
      templateOfFamily(place, signal),
      membersOfFamily(place, signal),
    ])
    assertFamily(place, uuid, { template, members })
    const names = new Set(members.map(({ name }) => name))
    for (const name of names) {
      if (!isExpired(place, name, clock.now())) continue
      await dropMember(place, name, signal)
      names.delete(name)
    }
    this.#members = names
  }
}

/** The indexes that documents are to lie in. */
function namesIn(operations: Iterable<Operation>): readonly string[] {
  return [...new Set([...operations].flatMap(({ op, index }) => (op === 'index' ? (index ?? []) : [])))]
}

const done: Outcome = { kind: 'applied' }
