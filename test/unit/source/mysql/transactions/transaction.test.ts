import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { Failure } from '../../../../../src/change/failure.ts'
import { transactionAt } from '../../../../../src/change/origins.ts'
import {
  eventType,
  readEvent,
  type BinlogEvent,
} from '../../../../../src/source/mysql/binlog/binlog-events.ts'
import { GtidReader } from '../../../../../src/source/mysql/binlog/gtid-event.ts'
import { ForeignKeys } from '../../../../../src/source/mysql/schema/foreign-keys.ts'
import type { Flavor } from '../../../../../src/source/mysql/gtid/gtid.ts'
import { parseGtidSet } from '../../../../../src/source/mysql/gtid/gtid-set.ts'
import { parsePosition, type Place } from '../../../../../src/source/mysql/gtid/position.ts'
import type { SourceBatch } from '../../../../../src/source/source.ts'
import { queryEvent } from '../../../../support/query-event.ts'
import { readCaptured, readerAt, readWire, say, wireOf } from '../../../../support/captured-stream.ts'

/**
 * What real servers sent for the same statements: inserts, an update, a transaction over two tables with a change of the
 * key, ALTERs, TRUNCATE, XA in one phase and in two, on 9.7 a tagged transaction, and at the end an XA branch that is
 * prepared with rows of the captured table and stays so.
 */
interface Captured {
  readonly flavor: Flavor
  readonly executed: string
  readonly events: readonly string[]
}

const changes = [
  'insert 1,"one"',
  'insert 2,"zwölf"',
  'update 2,"zwölf" > 2,"two"',
  'delete 1,"one"',
  'delete 2,"two"',
  'insert 3,"two"',
  'barrier ALTER TABLE items ADD COLUMN n INT DEFAULT 7',
  'barrier TRUNCATE items',
  'insert 4,"four",4',
  'insert 7,"seven",NULL',
  'insert 8,"eight",NULL',
]
const servers = ['mysql-9.7', 'mysql-8.0', 'mariadb-10.11', 'mariadb-11.8'] as const

for (const server of servers) {
  const captured = JSON.parse(
    readFileSync(new URL(`../captured/${server}.json`, import.meta.url), 'utf8'),
  ) as Captured
  const start: Place = { executed: parseGtidSet(captured.executed, captured.flavor) }

  suite(`the events of ${server}`, () => {
    test('give the changes in order', () => {
      const { said, failure } = readAll(captured, start)
      const tagged = server === 'mysql-9.7' ? ['insert 6,"six",6'] : []
      assert.deepEqual(said, [...changes.slice(0, 9), ...tagged, ...changes.slice(9)])
      assert.equal(failure, undefined)
    })

    test('can be taken up again after each event without a gap or a repetition', () => {
      const { said: all } = readAll(captured, start)
      const events = decode(captured)
      for (let cut = 0; cut < events.length - 4; cut++) {
        const first = readEvents(events.slice(0, cut), captured.flavor, start)
        const place = parsePosition(first.batch.position)
        // The server sends the file's head again, and then the transactions that are not in the set, from their begin.
        const rest = readEvents(resent(events, place), captured.flavor, place)
        // A reader that did not see a branch prepared has every table read again when it commits.
        const said = [...first.said, ...rest.said].filter((text) => !text.startsWith('barrier XA COMMIT'))
        assert.deepEqual(said, all, `cut after event ${cut}`)
      }
    })

    test('say which transaction each change comes from, where somebody asks', () => {
      const asked = readEvents(decode(captured), captured.flavor, start, true)
      const [, before = '', last = ''] = /^(.*?[:-])(?:1-)?(\d+)(?=:|$)/.exec(captured.executed) ?? []
      const told = transactionsOf(asked)
      assert.deepEqual(
        told.filter((name) => !name.includes('harvest')),
        [1, 1, 2, 3, 3, 3, 7, 10, 11].map((nth) => `${before}${Number(last) + nth}`),
      )
      assert.equal(told.indexOf(`${before}harvest:1`), server === 'mysql-9.7' ? 7 : -1)
      const { batches } = readAll(captured, start)
      assert(batches.every(({ records }) => records.every(({ origins }) => origins.length === 0)))
    })

    test('count as executed one by one', () => {
      const { batches } = readAll(captured, start)
      let before = start.executed
      for (const { position } of batches) {
        const { executed } = parsePosition(position)
        assert(executed.contains(before))
        before = executed
      }
      assert.notEqual(before.missingFrom(start.executed), '')
      if (server === 'mysql-9.7') assert.match(before.toString(), /:harvest:\d/)
    })
  })
}

test('the events of mysql-5.7 give the same changes, with columns that are known from elsewhere', async () => {
  const captured = readCaptured('mysql-5.7')
  const { said, failure } = await readWire(wireOf(captured.events), captured)
  assert.deepEqual([said, failure], [changes, undefined])
})

test('an event of a type that is not known stops the reader, unless the server says that it may be ignored', () => {
  const reader = readerAt('mysql', { executed: parseGtidSet('') })
  reader.accept({ ...emptyEvent, type: 99, flags: 0x80 })
  assert.throws(
    () => reader.accept({ ...emptyEvent, type: 99 }),
    (error) =>
      error instanceof Failure && error.kind === 'unsupported' && /event type 99/.test(error.message),
  )
})

test('events that say that something is missing stop the reader and name a remedy, whatever their flags', () => {
  for (const [type, name, remedy] of [
    [26, 'INCIDENT', /error log/],
    [eventType.anonymousGtid, 'ANONYMOUS_GTID', /gtid_mode = ON/],
    [18, 'EXECUTE_LOAD_QUERY', /binlog_format = ROW/],
  ] as const) {
    const reader = readerAt('mysql', { executed: parseGtidSet('') })
    assert.throws(
      () => reader.accept({ ...emptyEvent, type, flags: 0x80, nextOffset: 77 }),
      (error) =>
        error instanceof Failure &&
        error.kind === 'unsupported' &&
        error.message.includes(name) &&
        error.message.endsWith(':77)') &&
        remedy.test(error.remedy ?? ''),
    )
  }
})

test('an INCIDENT among whole events stops the stream there, and all before it is given', async () => {
  const captured = readCaptured('mysql-8.0')
  const [before, after] = [captured.events.slice(0, 15), captured.events.slice(15)]
  const place = before.at(-1)?.readUInt32LE(13) ?? 0
  const { said, failure } = await readWire(wireOf([...before, incidentAt(place), ...after]), captured)
  assert.deepEqual(said, ['insert 1,"one"', 'insert 2,"zwölf"', 'update 2,"zwölf" > 2,"two"'])
  assert(failure instanceof Failure && failure.kind === 'unsupported')
  assert.match(failure.message, new RegExp(`INCIDENT.*:${place + incidentBytes}\\)$`))
  assert.match(failure.remedy ?? '', /error log/)
})

const incidentBytes = 19 + 2 + 1 + 4 + 4

/** As a server writes it that could not log what it did: LOST_EVENTS, a message, the checksum. */
function incidentAt(place: number): Buffer {
  const event = Buffer.alloc(incidentBytes)
  event[4] = 26
  event.writeUInt32LE(1, 5)
  event.writeUInt32LE(incidentBytes, 9)
  event.writeUInt32LE(place + incidentBytes, 13)
  event.writeUInt16LE(1, 19)
  event[21] = 4
  event.write('lost', 22)
  event.writeUInt32LE(crc32(event.subarray(0, -4)), incidentBytes - 4)
  return event
}

test('a key that was dropped from a table in between has the tables read again that it reached', () => {
  // As the keys are now: crates referred to shelves, whose deletes reached items through them.
  const key = {
    columns: ['id'],
    onUpdate: 'nothing',
    referring: [{ column: 'crate', isKeyed: false }],
  } as const
  const keys = [{ ...key, child: 'shop.items', parent: 'shop.crates', onDelete: 'deleted' } as const]
  const said = (statement: string): readonly string[] => {
    const foreignKeys = new ForeignKeys(keys, ['shop.items'])
    const reader = readerAt('mysql', { executed: parseGtidSet('') }, { foreignKeys })
    reader.accept({ ...emptyEvent, type: eventType.gtid, buffer: Buffer.alloc(25, 1), to: 25 })
    reader.accept(queryEvent(Buffer.from(statement), 'shop'))
    return reader.take().barriers.map(({ table }) => table)
  }
  const dropping = ['FOREIGN KEY f', 'CONSTRAINT f', 'COLUMN a, DROP FOREIGN KEY f']
  for (const what of dropping) assert.deepEqual(said(`ALTER TABLE crates DROP ${what}`), ['shop.items'], what)
  for (const statement of ['DROP TABLE crates', 'CREATE OR REPLACE TABLE crates (id INT)'])
    assert.deepEqual(said(statement), ['shop.items'], statement)
  for (const statement of [
    'ALTER TABLE crates DROP COLUMN a',
    'TRUNCATE crates',
    'ALTER TABLE shelves DROP FOREIGN KEY f',
  ])
    assert.deepEqual(said(statement), [], statement)
})

test('rows without a transaction are refused', () => {
  const reader = readerAt('mysql', { executed: parseGtidSet('') })
  const body = Buffer.alloc(20)
  const event = { ...emptyEvent, type: eventType.writeRows, buffer: body, to: body.length }
  assert.throws(() => reader.accept(event), /outside a transaction with a GTID/)
})

test('a broken checksum and a wrong size are refused as corrupt', () => {
  const captured = JSON.parse(
    readFileSync(new URL('../captured/mysql-9.7.json', import.meta.url), 'utf8'),
  ) as Captured
  for (const line of captured.events.slice(0, 12)) {
    const bytes = Buffer.from(line, 'base64')
    const packet = { buffer: bytes, from: 0, to: bytes.length }
    readEvent(packet, true)
    // A format description is read without its checksum where the byte before it says that there is none.
    const last = bytes.length - 6
    bytes[last] = (bytes[last] ?? 0) ^ 1
    assert.throws(() => readEvent(packet, true), /breaks its checksum|checksum/)
    assert.throws(() => readEvent({ ...packet, to: bytes.length - 1 }, true), /contradicts its own size/)
  }
})

const emptyEvent: BinlogEvent = {
  type: 0,
  timestamp: 0,
  serverId: 1,
  nextOffset: 0,
  flags: 0,
  buffer: Buffer.alloc(0),
  from: 0,
  to: 0,
}

function decode({ events }: Captured): readonly BinlogEvent[] {
  return events.map((line) => {
    const buffer = Buffer.from(line, 'base64')
    return readEvent({ buffer, from: 0, to: buffer.length }, true)
  })
}

const begins: ReadonlySet<number> = new Set([eventType.gtid, eventType.gtidTagged, eventType.mariadbGtid])

/** What a server sends for a place: the file's head, and the transactions that are not executed there, from their begin. */
function resent(events: readonly BinlogEvent[], { executed }: Place): readonly BinlogEvent[] {
  const gtids = new GtidReader()
  let skipping = false
  return events.filter((event) => {
    if (begins.has(event.type)) {
      const { gtid } = event.type === eventType.mariadbGtid ? gtids.mariadb(event) : gtids.mysql(event)
      skipping = executed.has(gtid)
    }
    return !skipping
  })
}

interface Reading {
  /** The changes and barriers, as text. */
  readonly said: readonly string[]
  readonly batches: readonly SourceBatch[]
  /** Where it ended. */
  readonly batch: SourceBatch
  readonly failure: unknown
}

function readAll(captured: Captured, place: Place): Reading {
  return readEvents(decode(captured), captured.flavor, place)
}

/** Takes a batch after each event, up to the event that cannot be read. */
function readEvents(
  events: readonly BinlogEvent[],
  flavor: Flavor,
  place: Place,
  namesTransactions = false,
): Reading {
  const reader = readerAt(flavor, place, { namesTransactions })
  const batches: SourceBatch[] = [reader.take()]
  let failure: unknown
  try {
    for (const event of events) {
      reader.accept(event)
      if (reader.foreignKeysAreStale) reader.replaceForeignKeys(new ForeignKeys([], []))
      batches.push(reader.take())
    }
  } catch (error) {
    failure = error
  }
  return { said: batches.flatMap(say), batches, batch: batches.at(-1) ?? reader.take(), failure }
}

/** Of each change. */
function transactionsOf({ batches }: Reading): readonly string[] {
  return batches
    .flatMap(({ records }) => records)
    .flatMap((records) => {
      const found: string[] = []
      for (const cursor = records.cursor(); cursor.next();)
        found.push(transactionAt(records.origins, cursor.place))
      return found
    })
}
