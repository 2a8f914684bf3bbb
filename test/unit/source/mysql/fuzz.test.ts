/**
 * Damages what real servers sent and reads it: every outcome is the truth or a Failure, never a crash, a hang or a row
 * that nobody wrote. `node test/unit/source/mysql/fuzz.test.ts ROUNDS SEED` runs longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { Failure } from '../../../../src/change/failure.ts'
import { unpackRow } from '../../../../src/change/row.ts'
import {
  readCaptured,
  readWire,
  wireOf,
  type Captured,
  type Outcome,
} from '../../../support/captured-stream.ts'
import { Random } from '../../../support/random.ts'
import { changesOf } from '../../../support/source-reading.ts'

const [rounds = 400, firstSeed = 1] = process.argv.slice(2).map(Number)
const timeout = 60_000 + rounds * 200

const servers = ['mysql-9.7', 'mysql-8.0', 'mariadb-10.11', 'mariadb-11.8']
const corpus = ['mysql-5.7', ...servers.flatMap((server) => [server, `packed-${server}`])]

for (const name of corpus) {
  const captured = readCaptured(name)

  test(
    `${name}: bytes that change on their way are always refused, and nothing wrong is given before`,
    { timeout },
    async () => {
      const truth = await truthOf(captured)
      await each(async (random) => {
        const events: Buffer[] = captured.events.map((event) => Buffer.from(event))
        const at = random.below(events.length)
        flip(events[at] ?? Buffer.alloc(1), random)
        const outcome = await readWire(wireOf(events), captured, cuts(events, random))
        assertFailure(outcome)
        assert(outcome.failure !== undefined, `event ${at} was changed`)
        assertBeginning(outcome, truth)
      })
    },
  )

  test(
    `${name}: a stream that is cut, shortened or out of order gives a beginning of the truth`,
    { timeout },
    async () => {
      const truth = await truthOf(captured)
      await each(async (random) => {
        const wire = spoilt(captured, random)
        const outcome = await readWire(wire, captured, [random.below(wire.length), random.below(wire.length)])
        assertFailure(outcome)
        assertBeginning(outcome, truth)
      })
    },
  )

  test(
    `${name}: damage under a right checksum is a Failure, or rows of valid JSON`,
    { timeout },
    async () => {
      await each(async (random) => {
        const events: Buffer[] = captured.events.map((event) => Buffer.from(event))
        for (let count = 1 + random.below(3); count > 0; count--) {
          const at = random.below(events.length)
          events[at] = resealed(damaged(events[at] ?? Buffer.alloc(0), random))
        }
        const outcome = await readWire(wireOf(events), captured)
        assertFailure(outcome)
        assertJson(outcome)
      })
    },
  )
}

/** Names the seed of the round that fails. */
async function each(round: (random: Random) => Promise<void>): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    try {
      await round(new Random(seed))
    } catch (cause) {
      throw new Error(`with the seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      })
    }
  }
}

/** What the events say when nothing is damaged. */
async function truthOf(captured: Captured): Promise<Outcome> {
  const truth = await readWire(wireOf(captured.events), captured)
  assert.equal(truth.failure, undefined)
  assert(truth.said.length > 5)
  return truth
}

function assertFailure({ failure }: Outcome): void {
  if (failure === undefined || failure instanceof Failure) return
  throw new Error('a crash', { cause: failure })
}

function assertBeginning({ said }: Outcome, truth: Outcome): void {
  assert.deepEqual(said, truth.said.slice(0, said.length))
}

function assertJson({ batches }: Outcome): void {
  for (const { key, table, before, after } of batches.flatMap(changesOf)) {
    JSON.parse(key)
    const rows = [before, after].filter((row) => row !== undefined)
    const cells = rows.flatMap((row) => [...unpackRow(row, table.columns.length)])
    for (const cell of cells) JSON.parse(cell ?? 'null')
  }
}

/** One to three bits anywhere, the checksum included. */
function flip(event: Buffer, random: Random): void {
  if (event.length === 0) return
  const before = Buffer.from(event)
  do {
    for (let count = 1 + random.below(3); count > 0; count--) {
      const at = random.below(event.length)
      event[at] = (event[at] ?? 0) ^ (1 << random.below(8))
    }
  } while (event.equals(before))
}

function cuts(events: readonly Buffer[], random: Random): readonly number[] {
  const length = events.reduce((sum, event) => sum + event.length + 5, 0)
  return Array.from({ length: random.below(20) }, () => random.below(length))
}

/** The framing is hit, not the events: whole packets are lost, doubled, turned round or cut, or the bytes end. */
function spoilt(captured: Captured, random: Random): Buffer {
  const wire = wireOf(captured.events)
  const at = random.below(wire.length)
  switch (random.below(4)) {
    case 0:
      return wire.subarray(0, at)
    case 1:
      return Buffer.concat([wire.subarray(0, at), wire.subarray(at + 1 + random.below(50))])
    case 2:
      return Buffer.concat([wire.subarray(0, at), wire.subarray(Math.max(0, at - random.below(50)))])
    default: {
      const packets = captured.events.map((event) => wireOf([event]))
      const first = random.below(packets.length)
      for (const [index, packet] of packets.entries()) packet[3] = index + 1
      packets.splice(first, 1)
      return Buffer.concat(packets)
    }
  }
}

const headerBytes = 19
const checksumBytes = 4

/** Bits, bytes and lengths of the body; the size in the head is made right afterwards, or stays wrong now and then. */
function damaged(event: Buffer, random: Random): Buffer {
  const end = event.length - checksumBytes
  const at = headerBytes + random.below(Math.max(1, end - headerBytes))
  switch (random.below(6)) {
    case 0:
      return event.subarray(0, Math.max(headerBytes + checksumBytes, at))
    case 1:
      return Buffer.concat([event.subarray(0, at), event.subarray(Math.min(end, at + random.below(9)))])
    case 2:
      return Buffer.concat([
        event.subarray(0, at),
        Buffer.alloc(random.below(9), random.below(256)),
        event.subarray(at),
      ])
    case 3:
      event[at] = random.pick([0, 1, 127, 128, 250, 251, 252, 253, 254, 255])
      return event
    case 4:
      event[random.pick([4, 17, 18])] = random.below(256)
      return event
    default:
      flip(event.subarray(headerBytes, end), random)
      return event
  }
}

/** With the size and the checksum that its bytes should have. */
function resealed(event: Buffer): Buffer {
  const sealed = Buffer.from(event)
  sealed.writeUInt32LE(sealed.length, 9)
  const bytes = Buffer.from(sealed.subarray(0, -checksumBytes))
  const formatDescription = 15
  // The mark of a file that is being written is not in the checksum.
  if (bytes[4] === formatDescription) bytes[17] = (bytes[17] ?? 0) & ~1
  sealed.writeUInt32LE(crc32(bytes), sealed.length - checksumBytes)
  return sealed
}
