import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Producer } from '../../../../src/log/kafka/client.ts'
import { placeName, type Place } from '../../../../src/log/kafka/connections.ts'
import { LastTransaction, type TransactionClient } from '../../../../src/log/kafka/last-transaction.ts'

const control: Place = { topic: 'control', partition: 0 }
const orders: Place = { topic: 'orders', partition: 3 }
const notes: Place = { topic: 'notes', partition: 1 }

test('what has its markers is not ended again', async () => {
  const { brokers, last } = await written([control, orders])
  const ends = brokers.transactions
  await last.endAgain(brokers.takeOver())
  assert.equal(brokers.transactions, ends)
})

test('what a killed broker never wrote down is ended as it was asked, wherever it is missing', async () => {
  for (const forgotten of [[control, orders], [orders]])
    for (const keep of [true, false]) {
      const { brokers, last } = await written([control, orders], { keep, forgotten })
      assert.deepEqual(brokers.open, forgotten.map(placeName))
      await last.endAgain(brokers.takeOver())
      assert.deepEqual(brokers.open, [])
      assert.deepEqual(brokers.kept, keep ? [control, orders].map(placeName) : [])
    }
})

test('what was asked when the broker died before it heard of it is undone', async () => {
  const brokers = new Brokers()
  const last = new LastTransaction(brokers)
  const producer = brokers.takeOver()
  await last.begin(producer, [control, orders])
  brokers.leaveOpen([control, orders])
  brokers.isDead = true
  await assert.rejects(last.end(producer, [control, orders], true))
  brokers.restart()
  await last.endAgain(brokers.takeOver())
  assert.deepEqual([brokers.open, brokers.kept], [[], []])
})

test('nothing is ended for somebody else, who took over in between', async () => {
  const { brokers, last } = await written([control, orders])
  const other = new LastTransaction(brokers)
  const producer = brokers.takeOver()
  await other.endAgain(producer)
  await other.begin(producer, [control])
  brokers.leaveOpen([control])
  await other.end(producer, [control], true)
  brokers.leaveOpen([control])
  await last.endAgain(brokers.takeOver())
  assert.deepEqual(brokers.open, [placeName(control)])
  await last.endAgain(brokers.takeOver())
  assert.deepEqual(brokers.open, [placeName(control)], 'nor the next time')
})

test('another id of the producer means that somebody took over, whatever the epoch', async () => {
  const { brokers, last } = await written([control], { forgotten: [control] })
  const { epoch } = brokers.takeOver()
  await last.endAgain({ transactionalId: 'log', id: 8n, epoch })
  assert.deepEqual(brokers.open, [placeName(control)])
})

test('a look that fails is made again by the next one to take over, and only by that one', async () => {
  const { brokers, last } = await written([control, orders], { forgotten: [orders] })
  const first = brokers.takeOver()
  brokers.isDead = true
  await assert.rejects(last.endAgain(first))
  brokers.restart()
  await last.endAgain(brokers.takeOver())
  assert.deepEqual(brokers.kept, [placeName(control), placeName(orders)])
})

test('a broker that dies between two transactions keeps the first one, though it begins the second', async () => {
  const { brokers, last, producer } = await written([control, orders], { forgotten: [control, orders] })
  brokers.restart()
  await last.begin(producer, [control, notes])
  assert.deepEqual(brokers.kept, [placeName(control), placeName(orders)])
  brokers.leaveOpen([control, notes])
  await last.end(producer, [control, notes], true)
  assert.deepEqual(brokers.open, [])
  assert(brokers.kept.includes(placeName(notes)))
})

test('a connection that is made anew, and nothing else, costs no transaction', async () => {
  const { brokers, last, producer } = await written([control, orders])
  brokers.restart()
  const ends = brokers.transactions
  await last.begin(producer, [control, orders])
  assert.equal(brokers.transactions, ends)
})

test('a topic that was deleted is not asked for', async () => {
  const { brokers, last } = await written([control, orders], { forgotten: [control, orders] })
  brokers.deleted.add(orders.topic)
  await last.endAgain(brokers.takeOver())
  assert.deepEqual(brokers.kept, [placeName(control)])
})

/** One transaction is ended; brokers forget its markers at some of its places. */
async function written(
  places: readonly Place[],
  { keep = true, forgotten = [] }: { readonly keep?: boolean; readonly forgotten?: readonly Place[] } = {},
): Promise<{ readonly brokers: Brokers; readonly last: LastTransaction; readonly producer: Producer }> {
  const brokers = new Brokers()
  const last = new LastTransaction(brokers)
  const producer = brokers.takeOver()
  await last.begin(producer, places)
  brokers.leaveOpen(places)
  await last.end(producer, places, keep)
  brokers.leaveOpen(forgotten)
  return { brokers, last, producer }
}

/** Brokers as far as transactions of one id go; epochs grow as they do in real ones, which test/integration/kafka-log.test.ts shows. */
class Brokers implements TransactionClient {
  isDead = false
  connectionsMade = 1
  /** Ended so far. */
  transactions = 0
  readonly deleted = new Set<string>()
  /** Of the places: whether what was written there has its marker, and which. */
  readonly #places = new Map<string, 'open' | 'kept' | 'undone'>()
  #begun: readonly Place[] | undefined
  #epoch = -1

  get open(): readonly string[] {
    return this.#which('open')
  }

  get kept(): readonly string[] {
    return this.#which('kept')
  }

  /** Whatever is begun is undone, which takes an epoch of its own. */
  takeOver(): Producer {
    if (this.#begun !== undefined) {
      this.#epoch++
      this.#end(false)
    }
    return { transactionalId: 'log', id: 7n, epoch: ++this.#epoch }
  }

  /** Records are written there, or are without their markers after all. */
  leaveOpen(places: readonly Place[]): void {
    for (const place of places) this.#places.set(placeName(place), 'open')
  }

  restart(): void {
    this.isDead = false
    this.connectionsMade++
  }

  async addPartitions({ epoch }: Producer, places: readonly Place[]): Promise<void> {
    await this.#heard(epoch)
    this.#begun = [...(this.#begun ?? []), ...places]
  }

  async endTransaction({ epoch }: Producer, keep: boolean): Promise<void> {
    await this.#heard(epoch)
    this.#end(keep)
  }

  topics(names: readonly string[]): ReturnType<TransactionClient['topics']> {
    const there = names.filter((name) => !this.deleted.has(name))
    return Promise.resolve(
      new Map(there.map((name) => [name, { id: name, name, leaders: [1], replication: 1 }])),
    )
  }

  async ends(places: readonly Place[], which: string): Promise<ReadonlyMap<string, bigint>> {
    await this.#heard(this.#epoch)
    return new Map(places.map((place) => [placeName(place), this.#endOf(place, which)]))
  }

  #endOf(place: Place, which: string): bigint {
    assert(!this.deleted.has(place.topic), 'it is there')
    return which === 'finished' && this.#places.get(placeName(place)) === 'open' ? 5n : 9n
  }

  #heard(epoch: number): Promise<void> {
    assert.equal(epoch, this.#epoch, 'the producer is the last one')
    return this.isDead ? Promise.reject(new Error('nobody answers')) : Promise.resolve()
  }

  #end(keep: boolean): void {
    this.transactions++
    for (const place of this.#begun ?? [])
      if (this.#places.get(placeName(place)) === 'open')
        this.#places.set(placeName(place), keep ? 'kept' : 'undone')
    this.#begun = undefined
  }

  #which(state: string): readonly string[] {
    return [...this.#places].filter(([, each]) => each === state).map(([name]) => name)
  }
}
