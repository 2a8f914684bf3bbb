import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { Failure } from '../../../../../src/change/failure.ts'
import { setToAskFrom } from '../../../../../src/source/mysql/server/continuity.ts'
import {
  eventType,
  readEvent,
  type BinlogEvent,
} from '../../../../../src/source/mysql/binlog/binlog-events.ts'
import { GtidReader } from '../../../../../src/source/mysql/binlog/gtid-event.ts'
import { showGtid } from '../../../../../src/source/mysql/gtid/gtid.ts'
import { IdentityWatch } from '../../../../../src/source/mysql/binlog/identity.ts'
import { parsePosition, type Identity, type Place } from '../../../../../src/source/mysql/gtid/position.ts'
import { Resent } from '../../../../../src/source/mysql/gtid/resent.ts'
import { XaBranches, type HeldBranch } from '../../../../../src/source/mysql/transactions/xa.ts'
import { readCaptured, readWire, wireOf, type Captured } from '../../../../support/captured-stream.ts'

/**
 * Of a server on which branches a, b, c, d were prepared among transactions without XA; c changed no captured table, d was
 * rolled back, and what b and a inserted was changed after their COMMIT. Then a once more, and one with bytes in its name.
 */
const said = [
  'insert 1,one',
  'insert 2,two',
  'insert 3,three',
  'insert 20,twenty',
  'update 20,twenty > 20,zwanzig',
  'insert 10,ten',
  'insert 11,eleven',
  'update 10,ten > 10,zehn',
  'insert 5,five',
  'update 1,one > 1,eins',
  'delete 2,two',
  'insert 40,forty',
  'insert 42,stays',
  'insert 50,fifty',
  'insert 6,six',
]

for (const server of ['mysql-9.7', 'mysql-8.0', 'mariadb-10.11'] as const) {
  const captured = readCaptured(`xa-${server}`)

  suite(`the XA transactions of ${server}`, () => {
    test('are given when they commit, and not when they are rolled back', async () => {
      const { said: all, failure, batches } = await readWire(wireOf(captured.events), captured)
      assert.equal(failure, undefined)
      assert.deepEqual(plain(all), said)
      const open = batches.map(({ position }) => parsePosition(position).open?.length ?? 0)
      assert.equal(Math.max(...open), 4)
      assert.equal(open.at(-1), 0)
    })

    test('bear the time of their commit', async () => {
      const { batches } = await readWire(wireOf(captured.events), captured)
      const changes = batches.flatMap(({ records }) => records.flatMap((each) => [...each]))
      const times = changes.map(({ committedAtMs }) => committedAtMs)
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      )
    })

    test('are whole after a stop at any event, of the reader and of the next one', async () => {
      const { batches } = await readWire(wireOf(captured.events), captured)
      let given = 0
      for (const { position, records } of batches) {
        given += records.reduce((sum, { count }) => sum + count, 0)
        const place = parsePosition(position)
        const sent = resent(captured, place)
        const rest = await readWire(wireOf(sent), { ...captured, place })
        assert.equal(rest.failure, undefined)
        assert.deepEqual(plain(rest.said), said.slice(given), position)
        const middle = rest.batches[Math.floor(rest.batches.length / 2)]
        assert(middle !== undefined)
        const givenThen = rest.batches
          .slice(0, Math.floor(rest.batches.length / 2) + 1)
          .reduce((sum, batch) => sum + batch.records.reduce((all, { count }) => all + count, 0), 0)
        const next = parsePosition(middle.position)
        const last = await readWire(wireOf(resent(captured, next)), { ...captured, place: next })
        assert.deepEqual(plain(last.said), said.slice(given + givenThen), middle.position)
      }
    })

    test('become barriers where the rows are not known, and only at a COMMIT', async () => {
      const { batches } = await readWire(wireOf(captured.events), captured)
      const position = batches.find(({ position: each }) => parsePosition(each).open?.length === 4)?.position
      assert(position !== undefined)
      const { open, ...place } = parsePosition(position)
      assert.equal(open?.length, 4)
      const rest = await readWire(wireOf(resent(captured, place)), { ...captured, place })
      const barriers = rest.said.filter((text) => text.startsWith('barrier'))
      assert.deepEqual(
        barriers.map((text) => /X'([0-9a-f]*)'/.exec(text)?.[1]),
        ['62', '61', '63'],
      )
      assert(!plain(rest.said).includes('insert 10,ten'))
    })

    test('do not hide the last transaction: it is compared, and a PREPARE is read again besides', async () => {
      for (const [place, last] of lastPlaces(captured)) {
        const awaited = { ...place, last }
        const watch = new IdentityWatch({
          flavor: captured.flavor,
          server: 's',
          preciseTimes: captured.flavor === 'mysql',
          last,
          lastAt: undefined,
          compares: true,
          resent: new Resent(awaited),
          isInside: false,
        })
        const set = setToAskFrom(awaited, true)
        const events = sentFor(captured, (gtid) => set.has(gtid))
        const prepares = new Set(place.open?.map(({ gtid }) => gtid))
        let name = ''
        const seen = new Map<string, boolean>()
        for (const event of events.map(eventOf)) {
          const begun = gtidOf(event, captured)
          if (begun !== undefined) name = begun
          const isHidden = watch.see(event)
          if (begun !== undefined) seen.set(name, isHidden)
          if (name === last.gtid) assert.equal(isHidden, !prepares.has(name), name)
          else assert.equal(isHidden, false, name)
          // What comes again before the last one is not the last.
          if (!seen.has(last.gtid)) assert.deepEqual(watch.last(true), last)
        }
        assert(seen.has(last.gtid))
      }
    })
  })
}

suite('held changes', () => {
  const { events, ...captured } = readCaptured('xa-mysql-9.7')

  test('go to a file without a name when they are many, and come back in runs with their events', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    try {
      const branches = new XaBranches([], { bytesMax: 500_000, directory })
      const { batches } = await readWire(wireOf(events), { ...captured })
      const [change] = batches.flatMap(({ records }) => records.flatMap((each) => [...each]))
      assert(change !== undefined)
      const held = branches.hold()
      for (let event = 1; event <= 40_000; event++) {
        held.builder.add({ ...change, committedAtMs: event })
        held.eventEnded(event)
      }
      held.end(40_000, [])
      assert.deepEqual(readdirSync(directory), [])
      branches.prepared({ branch: 'b', gtid: 'g:1', at: 0 }, held)
      const runs = [...takeAll(held)]
      assert(runs.length > 4, `${runs.length} runs`)
      let event = 0
      for (const run of runs) {
        for (const { committedAtMs, key } of run.records) {
          assert.equal(committedAtMs, ++event)
          assert.equal(key, change.key)
        }
        assert.equal(run.events, event)
        assert(run.records.bytes.length < 300 * 1024)
      }
      assert.equal(event, 40_000)
      branches.ended('b')
      assert.deepEqual(branches.list, [])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('stop capture with a remedy where there is no room for them', () => {
    const directory = join(tmpdir(), 'millrace-no-such-folder')
    const branches = new XaBranches([], { bytesMax: 0, directory })
    const held = branches.hold()
    held.builder.room(300_000)
    held.builder.begin()
    held.builder.end(0, { table: { schema: 's', name: 't' } as never, committedAtMs: 1 }, 22, 22)
    assert.throws(
      () => held.end(1, []),
      (error) =>
        error instanceof Failure && error.kind === 'configuration' && /TMPDIR/.test(error.remedy ?? ''),
    )
  })

  test('of more branches than are remembered the oldest is forgotten', () => {
    const branches = new XaBranches()
    for (let at = 0; at < 1005; at++)
      branches.prepared({ branch: `b${at}`, gtid: `g:${at}`, at }, branches.hold())
    assert.equal(branches.list.length, 1000)
    assert.equal(branches.changesOf('b4'), undefined)
    assert.notEqual(branches.changesOf('b5'), undefined)
  })
})

function* takeAll(held: HeldBranch): Generator<NonNullable<ReturnType<HeldBranch['take']>>> {
  for (let run = held.take(); run !== undefined; run = held.take()) yield run
}

/** Without the quotes of texts. */
function plain(texts: readonly string[]): readonly string[] {
  return texts.filter((text) => !text.startsWith('barrier')).map((text) => text.replaceAll('"', ''))
}

/** Places between the transactions, each with the transaction before it. */
function* lastPlaces(captured: Captured): Generator<readonly [Place, Identity]> {
  const place = captured.place
  const watch = new IdentityWatch({
    flavor: captured.flavor,
    server: 's',
    preciseTimes: true,
    last: undefined,
    lastAt: undefined,
    compares: false,
    resent: new Resent(place),
    isInside: false,
  })
  const executed = place.executed.copy()
  const open = new Map<string, string>()
  const gtids = new GtidReader()
  let before: BinlogEvent | undefined
  for (const event of captured.events.map(eventOf)) {
    const begins = gtidOf(event, captured) !== undefined
    if (begins && before !== undefined) {
      const last = watch.last(false)
      assert(last !== undefined)
      const start = captured.flavor === 'mysql' ? gtids.mysql(before) : gtids.mariadb(before)
      executed.add(start.gtid)
      const branches = [...open].map(([branch, gtid]) => ({ branch, gtid, at: 0 }))
      if (branches.length > 0) yield [{ executed: executed.copy(), open: branches }, last]
    }
    watch.see(event)
    if (begins) before = event
    if (event.type === eventType.xaPrepare && before !== undefined && event.buffer[event.from] === 0)
      open.set(`branch ${open.size}`, gtidOf(before, captured) ?? '')
  }
}

/** What a server sends for a place. */
function resent(captured: Captured, place: Place): readonly Buffer[] {
  const set = setToAskFrom(place, false)
  return sentFor(captured, (gtid) => set.has(gtid))
}

function sentFor(
  captured: Captured,
  has: (gtid: Parameters<Place['executed']['has']>[0]) => boolean,
): readonly Buffer[] {
  const gtids = new GtidReader()
  let skipping = false
  return captured.events.filter((bytes) => {
    const event = eventOf(bytes)
    if (begins.has(event.type)) {
      const { gtid } = event.type === eventType.mariadbGtid ? gtids.mariadb(event) : gtids.mysql(event)
      skipping = has(gtid)
    }
    return !skipping
  })
}

function eventOf(buffer: Buffer): BinlogEvent {
  return readEvent({ buffer, from: 0, to: buffer.length }, true)
}

function gtidOf(event: BinlogEvent, { flavor }: Captured): string | undefined {
  if (!begins.has(event.type)) return undefined
  const gtids = new GtidReader()
  return showGtid((flavor === 'mysql' ? gtids.mysql(event) : gtids.mariadb(event)).gtid, flavor)
}

const begins: ReadonlySet<number> = new Set([eventType.gtid, eventType.gtidTagged, eventType.mariadbGtid])
