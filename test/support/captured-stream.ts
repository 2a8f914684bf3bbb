/** Events that a real server sent, and reading them as a dump's bytes: packets, events, changes. */
import { readFileSync } from 'node:fs'
import { textOf, unpackRow } from '../../src/change/row.ts'
import { eventIn, isSetAside } from '../../src/source/mysql/binlog/binlog-client.ts'
import type { BinlogEvent } from '../../src/source/mysql/binlog/binlog-events.ts'
import { ForeignKeys } from '../../src/source/mysql/schema/foreign-keys.ts'
import type { Flavor } from '../../src/source/mysql/gtid/gtid.ts'
import { parseGtidSet } from '../../src/source/mysql/gtid/gtid-set.ts'
import { PacketReader, type Packet } from '../../src/source/mysql/binlog/packet-reader.ts'
import type { Place } from '../../src/source/mysql/gtid/position.ts'
import type { SchemaLookup, TableSchema } from '../../src/source/mysql/rows/schema-match.ts'
import { TableMapCache } from '../../src/source/mysql/rows/table-map.ts'
import { TransactionReader } from '../../src/source/mysql/transactions/transaction.ts'
import { UnpackedEvents } from '../../src/source/mysql/binlog/unpacked-events.ts'
import { Resent } from '../../src/source/mysql/gtid/resent.ts'
import type { ColumnType } from '../../src/source/mysql/values/column-type.ts'
import type { SourceBatch } from '../../src/source/source.ts'
import { changesOf } from './source-reading.ts'

/** What `node test/corpus/main.ts SERVER` records. */
export interface Captured {
  readonly flavor: Flavor
  readonly place: Place
  /** Each with header and checksum. */
  readonly events: readonly Buffer[]
}

/** One of the files in `captured/`. */
export function readCaptured(name: string): Captured {
  const file = new URL(`../unit/source/mysql/captured/${name}.json`, import.meta.url)
  const { flavor, executed, events } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly flavor: Flavor
    readonly executed: string
    readonly events: readonly string[]
  }
  return {
    flavor,
    place: { executed: parseGtidSet(executed, flavor) },
    events: events.map((event) => Buffer.from(event, 'base64')),
  }
}

/** The bytes of a dump that sends these events. */
export function wireOf(events: readonly Buffer[]): Buffer {
  let sequence = 1
  const packets = events.flatMap((event) => {
    const payload = Buffer.concat([Buffer.of(0), event])
    const parts: Buffer[] = []
    for (let at = 0; at <= payload.length; at += payloadBytesMax) {
      const part = payload.subarray(at, at + payloadBytesMax)
      const header = Buffer.alloc(4)
      header.writeUIntLE(part.length, 0, 3)
      header[3] = sequence++ & 255
      parts.push(header, part)
    }
    return parts
  })
  return Buffer.concat(packets)
}

const payloadBytesMax = 0xff_ff_ff

export interface Outcome {
  /** The changes and barriers, as text. */
  readonly said: readonly string[]
  /** One after each event. */
  readonly batches: readonly SourceBatch[]
  readonly failure: unknown
}

/** Reads the bytes to their end, or to the first failure; captures shop.items. `cuts` are where chunks begin. */
export async function readWire(
  wire: Buffer,
  { flavor, place }: Pick<Captured, 'flavor' | 'place'>,
  cuts: readonly number[] = [],
): Promise<Outcome> {
  const reader = readerAt(flavor, place, { schemas: new ItemsSchemas() })
  const events = new UnpackedEvents(new Wire(wire, cuts), reader)
  const batches: SourceBatch[] = [reader.take()]
  let failure: unknown
  try {
    for await (const event of eventsOf(events)) {
      reader.accept(event)
      if (reader.foreignKeysAreStale) reader.replaceForeignKeys(new ForeignKeys([], []))
      batches.push(reader.take())
    }
  } catch (error) {
    failure = error
  } finally {
    await events.close()
  }
  return { said: batches.flatMap(say), batches, failure }
}

async function* eventsOf(events: UnpackedEvents): AsyncGenerator<BinlogEvent> {
  do {
    for (let event = events.next(); event !== undefined; event = events.next()) yield event
  } while (await events.unpack())
}

interface ReaderWishes {
  /** They describe tables whose columns the stream does not name. */
  readonly schemas?: ItemsSchemas
  readonly namesTransactions?: boolean
  readonly foreignKeys?: ForeignKeys
}

/** Captures shop.items, from the place on. */
export function readerAt(flavor: Flavor, place: Place, wishes: ReaderWishes = {}): TransactionReader {
  const tables = ['shop.items']
  const context = {
    flavor,
    captured: (table: string) => tables.includes(table),
    excluded: () => new Set<string>(),
    keyColumns: () => undefined,
    cache: new TableMapCache(),
    ...wishes,
  }
  const options = { foreignKeys: new ForeignKeys([], []), resent: new Resent(place), ...wishes }
  return new TransactionReader({ flavor, server: 's', tables, context, place, ...options }, true)
}

/** The columns of shop.items, which MySQL 5.7 does not name, before and after one was added. */
class ItemsSchemas implements SchemaLookup {
  readonly remedy = ''
  #columns: TableSchema['columns'] = [
    { name: 'id', nullable: false, type: int, charset: undefined },
    {
      name: 'name',
      nullable: true,
      type: { kind: 'string', fixed: false, characters: 20 },
      charset: 'utf8mb4',
    },
  ]

  of(): TableSchema {
    return { columns: this.#columns, primaryKey: [0] }
  }

  changed(_names: readonly string[], statement: string): void {
    if (!statement.includes('ADD COLUMN')) return
    this.#columns = [...this.#columns, { name: 'n', nullable: true, type: int, charset: undefined }]
  }
}

const int: ColumnType = { kind: 'integer', bytes: 4, unsigned: false }

class Wire {
  readonly #packets = new PacketReader(1, isSetAside)
  readonly #chunks: Buffer[]

  constructor(bytes: Buffer, cuts: readonly number[]) {
    const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
    this.#chunks = places.slice(1).map((to, index) => bytes.subarray(places[index], to))
  }

  next(): Packet | undefined {
    for (;;) {
      const packet = this.#packets.next()
      if (packet !== undefined) return eventIn(packet)
      const chunk = this.#chunks.shift()
      if (chunk === undefined) return undefined
      this.#packets.push(chunk)
    }
  }
}

/** A batch as a person reads it. */
export function say(batch: SourceBatch): readonly string[] {
  const { barriers } = batch
  const changes = changesOf(batch)
  const rows = changes.map(({ op, table, before, after }) => {
    const images = [before, after].flatMap((row) => (row === undefined ? [] : [row]))
    const texts = images.map((row) =>
      unpackRow(row, table.columns.length)
        .map((cell) => (cell === null ? 'NULL' : textOf(cell ?? 'absent')))
        .join(','),
    )
    return `${op} ${texts.join(' > ')}`
  })
  return [...rows, ...barriers.map(({ statement }) => `barrier ${statement}`)]
}
