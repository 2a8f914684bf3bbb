import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { crc32, zstdCompressSync } from 'node:zlib'
import { Failure } from '../../../../../src/change/failure.ts'
import {
  eventType,
  readEvent,
  type BinlogEvent,
} from '../../../../../src/source/mysql/binlog/binlog-events.ts'
import { GtidReader } from '../../../../../src/source/mysql/binlog/gtid-event.ts'
import { LongBytes } from '../../../../../src/source/mysql/binlog/long-bytes.ts'
import { parsePosition, type Place } from '../../../../../src/source/mysql/gtid/position.ts'
import { TransactionPayload } from '../../../../../src/source/mysql/binlog/transaction-payload.ts'
import { readCaptured, readWire, wireOf, type Captured } from '../../../../support/captured-stream.ts'
import { changesOf } from '../../../../support/source-reading.ts'

/** What the statements of the captured files changed; three updates of JSON by differences on MySQL alone. */
const said = [
  'insert 1',
  'insert 2',
  'update 1',
  'update 2',
  'delete 2',
  'insert 3',
  'insert 4',
  'delete 3',
] as const

for (const server of ['mysql-9.7', 'mysql-8.0', 'mariadb-10.11'] as const) {
  const captured = readCaptured(`packed-${server}`)
  const isMysql = captured.flavor === 'mysql'

  suite(`the packed events of ${server}`, () => {
    test('give the changes in order', async () => {
      const { said: all, failure } = await readWire(wireOf(captured.events), captured)
      assert.equal(failure, undefined)
      assert.deepEqual(
        all.map((text) => text.split(',', 1)[0]),
        isMysql ? [...said, 'update 1', 'update 1', 'update 1'] : said,
      )
      if (!isMysql) return
      const documents = all.slice(-3).map((text) => /> .*?(\{.*\}),"13.30"/.exec(text)?.[1])
      const rest = `"n": 9007199254740993, "new": "x", "long": "${'y'.repeat(200)}"}`
      assert.deepEqual(documents, [
        `{"a": [1, 7, {"b": "x"}], ${rest}`,
        `{"a": [7, {"b": "x"}], ${rest}`,
        `{"a": [7, {"b": "2026-01-01"}], ${rest}`,
      ])
    })

    test('are the same however the bytes are cut, and can be taken up again after each event', async () => {
      const wire = wireOf(captured.events)
      const { said: all, batches } = await readWire(wire, captured)
      const everywhere = Array.from({ length: wire.length }, (_, at) => at)
      assert.deepEqual((await readWire(wire, captured, everywhere)).said, all)
      let given = 0
      for (const batch of batches) {
        const { position } = batch
        const changes = changesOf(batch)
        given += changes.length
        const place = parsePosition(position)
        const rest = await readWire(wireOf(resent(captured, place)), { ...captured, place })
        assert.deepEqual(rest.said, all.slice(given))
      }
    })
  })
}

suite('a packed event that cannot be unpacked', () => {
  const mysql = readCaptured('packed-mysql-9.7')
  const maria = readCaptured('packed-mariadb-10.11')

  test('is refused with its transaction and place, and nothing of it is given', async () => {
    const before = 'in transaction [0-9a-f-]{36}:\\d+, after binlog\\.\\d+:\\d+'
    const cases = [
      [
        spoilt(mysql, eventType.transactionPayload, -9),
        'corrupt',
        'a compressed transaction cannot be unpacked',
        before,
      ],
      [
        spoilt(maria, eventType.mariadbWriteRowsCompressedV1, -9),
        'corrupt',
        'a compressed event cannot be unpacked',
        'in transaction 0-\\d+-\\d+, after binlog\\.\\d+:\\d+',
      ],
    ] as const
    for (const [{ events, captured }, kind, message, place] of cases) {
      const { failure, said: given } = await readWire(wireOf(events), captured)
      assert(failure instanceof Failure)
      assert.equal(failure.kind, kind)
      assert.match(failure.message, new RegExp(`^${message} \\(${place}\\)$`))
      assert.deepEqual(given, [])
    }
  })

  test('is named where its compression is not known', async () => {
    const events = mysql.events.map((event) => {
      if (event[4] !== eventType.transactionPayload) return event
      const other = Buffer.from(event)
      // Compression is the first field: kind 2, a length of 1, the number.
      assert.deepEqual([...other.subarray(19, 22)], [2, 1, 0])
      other[21] = 7
      return sealed(other)
    })
    const { failure } = await readWire(wireOf(events), mysql)
    assert(failure instanceof Failure)
    assert.equal(failure.kind, 'unsupported')
    assert.match(failure.message, /an unknown algorithm, number 7 \(in transaction/)
    assert.match(failure.remedy ?? '', /binlog_transaction_compression = OFF/)
  })
})

test('of a compressed transaction that lies in a scratch file, all parts are found', () => {
  const long = new LongBytes({ bytesMax: 100 })
  const whole = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) & 255))
  for (let at = 0; at < whole.length; at += 77) long.add(whole.subarray(at, at + 77))
  assert.equal(long.length, whole.length)
  for (const [from, to] of [
    [0, 300_000],
    [50, 120],
    [77, 78],
    [10, 10],
    [199_999, 299_999],
  ] as const) {
    const pieces = Array.from(long.between(from, to), (piece) => Buffer.from(piece))
    assert(Buffer.concat(pieces).equals(whole.subarray(from, to)), `${from} to ${to}`)
  }
  long.close()
  assert.throws(() => [...long.between(0, 300_000)])
})

test('a compressed transaction that no disk has room for says so', () => {
  const long = new LongBytes({ bytesMax: 100, directory: '/nowhere/at/all' })
  assert.throws(() => long.add(Buffer.alloc(101)), Failure)
})

suite('a compressed transaction', () => {
  const inner = Buffer.concat(Array.from({ length: 3000 }, (_, at) => eventOf(eventType.xid, 100 + at)))
  const frames = Buffer.concat([
    zstdCompressSync(inner.subarray(0, 40_000)),
    zstdCompressSync(inner.subarray(40_000)),
  ])

  test('comes out whole: of one frame, of several, not compressed, and in parts', async () => {
    const cases = [
      payloadOf(zstdCompressSync(inner), inner.length),
      payloadOf(frames, inner.length),
      payloadOf(inner, inner.length, 255),
    ]
    for (const event of cases)
      for (const parts of [[event], [event.subarray(0, 80), event.subarray(80, 81), event.subarray(81)]]) {
        const sizes = (await unpacked(parts)).map(({ from, to, nextOffset }) => [to - from, nextOffset])
        assert.deepEqual(
          sizes,
          Array.from({ length: 3000 }, (_, at) => [100 + at, 4711]),
        )
      }
  })

  test('of another size than it says, cut, or with other events than a transaction has, is corrupt', async () => {
    const packed = zstdCompressSync(inner)
    const cases = [
      payloadOf(packed, inner.length + 1),
      payloadOf(packed, inner.length - 1),
      payloadOf(packed.subarray(0, -5), inner.length),
      payloadOf(Buffer.concat([packed, Buffer.from('rest')]), inner.length),
      payloadOf(Buffer.alloc(0), inner.length),
      payloadOf(zstdCompressSync(inner.subarray(0, -1)), inner.length - 1),
      payloadOf(inner, inner.length + 1, 255),
      ...[eventType.gtid, eventType.rotate, eventType.transactionPayload, eventType.formatDescription].map(
        (type) => {
          const event = eventOf(type, 100)
          return payloadOf(zstdCompressSync(event), event.length)
        },
      ),
    ]
    for (const event of cases)
      await assert.rejects(unpacked([event]), (error) => error instanceof Failure && error.kind === 'corrupt')
  })

  test('of which one bit is wrong gives nothing', async () => {
    const event = payloadOf(zstdCompressSync(inner), inner.length)
    for (let at = 0; at < event.length; at += 37) {
      const wrong = Buffer.from(event)
      wrong[at] = (wrong[at] ?? 0) ^ 4
      assert.throws(() => open([wrong]), Failure)
    }
  })
})

/** Unpacks an outer event, given in parts. */
async function unpacked(parts: readonly Buffer[]): Promise<readonly BinlogEvent[]> {
  const payload = open(parts)
  const events: BinlogEvent[] = []
  do {
    for (let event = payload.next(); event !== undefined; event = payload.next()) events.push(event)
  } while (await payload.more())
  return events
}

function open([first = Buffer.alloc(0), ...more]: readonly Buffer[]): TransactionPayload {
  const packet = { buffer: first, from: 0, to: first.length }
  if (more.length === 0) return TransactionPayload.open(packet, true)
  // All but the first part lies in a scratch file.
  const whole = new LongBytes({ bytesMax: first.length })
  for (const part of [first, ...more]) whole.add(part)
  return TransactionPayload.open({ ...packet, whole }, true)
}

function eventOf(type: number, bodyBytes: number): Buffer {
  const event = Buffer.alloc(19 + bodyBytes, bodyBytes & 255)
  event[4] = type
  event.writeUInt32LE(event.length, 9)
  return event
}

function payloadOf(payload: Buffer, unpackedBytes: number, compression = 0): Buffer {
  const compressionNumber = compression < 251 ? Buffer.of(compression) : Buffer.of(252, compression, 0)
  const head = Buffer.alloc(19)
  head[4] = eventType.transactionPayload
  head.writeUInt32LE(4711, 13)
  return sealed(
    Buffer.concat([
      head,
      field(9, Buffer.from('unknown')),
      field(2, compressionNumber),
      field(3, packedNumber(unpackedBytes)),
      field(1, packedNumber(payload.length)),
      Buffer.of(0),
      payload,
      Buffer.alloc(4),
    ]),
  )
}

/** In the packed form of eight bytes. */
function packedNumber(value: number): Buffer {
  const bytes = Buffer.alloc(9)
  bytes[0] = 254
  bytes.writeUInt32LE(value, 1)
  return bytes
}

function field(kind: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(kind, value.length), value])
}

/** With the size and the checksum that it should have. */
function sealed(event: Buffer): Buffer {
  event.writeUInt32LE(event.length, 9)
  event.writeUInt32LE(crc32(event.subarray(0, -4)), event.length - 4)
  return event
}

/** The first event of a type has a wrong byte, under a right checksum. */
function spoilt(
  captured: Captured,
  type: number,
  at: number,
): { readonly events: readonly Buffer[]; readonly captured: Captured } {
  const first = captured.events.findIndex((event) => event[4] === type)
  const events = captured.events.map((event, index) => {
    if (index !== first) return event
    const wrong = Buffer.from(event)
    const place = wrong.length + at
    wrong[place] = (wrong[place] ?? 0) ^ 0xff
    return sealed(wrong)
  })
  return { events, captured }
}

const begins: ReadonlySet<number> = new Set([eventType.gtid, eventType.gtidTagged, eventType.mariadbGtid])

/** What a server sends for a place: the file's head, and the transactions that are not executed there, from their begin. */
function resent({ events, flavor }: Captured, { executed }: Place): readonly Buffer[] {
  const gtids = new GtidReader()
  let skipping = false
  return events.filter((bytes) => {
    if (begins.has(bytes[4] ?? 0)) {
      const event = readEvent({ buffer: bytes, from: 0, to: bytes.length }, true)
      const { gtid } = flavor === 'mariadb' ? gtids.mariadb(event) : gtids.mysql(event)
      skipping = executed.has(gtid)
    }
    return !skipping
  })
}
