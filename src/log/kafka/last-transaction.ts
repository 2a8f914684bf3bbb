/**
 * Begins and ends the transactions of one writer, and ends the last one once more where brokers forgot to.
 *
 * A broker that dies between its decision to end a transaction and the markers in the partitions takes it for ended when it starts
 * again, before it knows the partitions (seen with 4.3.1): the markers are never written, and readers of finished records stop there
 * for ever. A transaction of the same producer with the same end, of the same partitions and with nothing in it, writes them.
 *
 * What was decided is known only while nobody else took over: a producer that takes over gets the next epoch where brokers take
 * everything for ended, and a later one where something was open and was undone for it.
 */
import type { Client, Producer } from './client.ts'
import { placeName, type Place } from './connections.ts'

/** The last transaction of which brokers were told how it ends. */
interface Told {
  /** Who has the transactional id since, as far as we know. */
  readonly producer: Producer
  readonly places: readonly Place[]
  readonly keep: boolean
  /** How many connections had been made until then: another one may lead to a broker that has been dead. */
  readonly connections: number
}

export type TransactionClient = Pick<
  Client,
  'addPartitions' | 'connectionsMade' | 'endTransaction' | 'ends' | 'topics'
>

export class LastTransaction {
  readonly #client: TransactionClient
  #told: Told | undefined

  constructor(client: TransactionClient) {
    this.#client = client
  }

  /** Brokers accept records for these places from now on. */
  async begin(producer: Producer, places: readonly Place[]): Promise<void> {
    await this.#client.addPartitions(producer, places)
    const told = this.#told
    if (told === undefined || told.connections === this.#client.connectionsMade) return
    // A broker that begins a transaction has ended the one before, unless it has been dead meanwhile.
    if (await this.#endWhereOpen(producer, told)) await this.#client.addPartitions(producer, places)
  }

  /** Brokers are told to keep or to undo what was written since `begin`. */
  async end(producer: Producer, places: readonly Place[], keep: boolean): Promise<void> {
    this.#told = { producer, places, keep, connections: this.#client.connectionsMade }
    await this.#client.endTransaction(producer, keep)
  }

  /** To be called when `producer` has taken over. Rejected, it may be called with the next one to take over. */
  async endAgain(producer: Producer): Promise<void> {
    const told = this.#told
    if (told === undefined) return
    this.#told = undefined
    if (producer.id !== told.producer.id || producer.epoch !== told.producer.epoch + 1) return
    this.#told = { ...told, producer }
    await this.#endWhereOpen(producer, told)
  }

  /** Whether there was anything to end. */
  async #endWhereOpen(producer: Producer, { places, keep }: Told): Promise<boolean> {
    const open = await this.#open(places)
    if (open.length === 0) return false
    await this.#client.addPartitions(producer, open)
    await this.end(producer, places, keep)
    return true
  }

  /** Those of the places, as far as they are there, at which readers of finished records do not get to the last record. */
  async #open(places: readonly Place[]): Promise<readonly Place[]> {
    const present = await this.#client.topics([...new Set(places.map(({ topic }) => topic))], true)
    const there = places.filter(({ topic }) => present.has(topic))
    const finished = await this.#client.ends(there, 'finished')
    const last = await this.#client.ends(there, 'last')
    return there.filter((place) => finished.get(placeName(place)) !== last.get(placeName(place)))
  }
}
