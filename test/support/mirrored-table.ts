/** A table as a Debezium connector would tell of it, written by an independent client. */
import type { Producer } from 'kafkajs'
import type { ItemWrite } from '../contract/source.contract.ts'
import { messagesOf, type DebeziumEvent, type DebeziumRow, type DebeziumTable } from './debezium-messages.ts'
import { createTopic, withAdmin } from './kafka-options.ts'

/** A table as Debezium sees it: the rows that there are, and the topic that hears of their changes. */
export class MirroredTable {
  readonly topic: string
  readonly #producer: Producer
  readonly #table: DebeziumTable
  readonly #rows = new Map<number, DebeziumRow>()

  private constructor(producer: Producer, table: DebeziumTable) {
    this.#producer = producer
    this.#table = table
    this.topic = `dbserver.${table.schema}.${table.table}`
  }

  static async create(
    { broker, producer }: { readonly broker: string; readonly producer: Producer },
    table: DebeziumTable,
    numPartitions: number,
  ): Promise<MirroredTable> {
    const mirrored = new MirroredTable(producer, table)
    await withAdmin(broker, (admin) => createTopic(admin, mirrored.topic, numPartitions))
    return mirrored
  }

  get rows(): ReadonlyMap<number, DebeziumRow> {
    return this.#rows
  }

  async put(row: DebeziumRow & { readonly id: number }, op?: 'r'): Promise<void> {
    await this.send([this.#put(row, op)])
  }

  async delete(id: number): Promise<void> {
    await this.send([this.#delete(id)])
  }

  async truncate(): Promise<void> {
    this.#rows.clear()
    await this.send([{ op: 't' }])
  }

  async write(writes: readonly ItemWrite[]): Promise<void> {
    await this.send(writes.flatMap((write) => this.#eventsOf(write)))
  }

  async send(events: readonly DebeziumEvent[]): Promise<void> {
    const messages = events.flatMap((event) => messagesOf(this.#table, event))
    for (let from = 0; from < messages.length; from += 200)
      await this.#producer.send({ topic: this.topic, messages: messages.slice(from, from + 200) })
  }

  #eventsOf(write: ItemWrite): readonly DebeziumEvent[] {
    const { op, id } = write
    if (op === 'delete') return [this.#delete(id)]
    if (op !== 'rekey') return [this.#put({ id, name: write.name, amount: write.amount })]
    const row = this.#rows.get(id) ?? {}
    return [this.#delete(id), this.#put({ ...row, id: write.to })]
  }

  #put(row: DebeziumRow & { readonly id: number }, op?: 'r'): DebeziumEvent {
    const old = this.#rows.get(row.id)
    this.#rows.set(row.id, row)
    return old === undefined ? { op: op ?? 'c', after: row } : { op: 'u', before: old, after: row }
  }

  #delete(id: number): DebeziumEvent {
    const old = this.#rows.get(id)
    this.#rows.delete(id)
    return old === undefined ? { op: 'd' } : { op: 'd', before: old }
  }
}
