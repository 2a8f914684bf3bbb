import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import {
  eventType,
  readEvent,
  type BinlogEvent,
} from '../../../../../src/source/mysql/binlog/binlog-events.ts'
import type { Flavor } from '../../../../../src/source/mysql/gtid/gtid.ts'
import { parseGtidSet } from '../../../../../src/source/mysql/gtid/gtid-set.ts'
import { FilesRemade, IdentityWatch, NumberReused } from '../../../../../src/source/mysql/binlog/identity.ts'
import type { Identity } from '../../../../../src/source/mysql/gtid/position.ts'
import { Resent } from '../../../../../src/source/mysql/gtid/resent.ts'

const beginnings: ReadonlySet<number> = new Set([eventType.gtid, eventType.gtidTagged, eventType.mariadbGtid])

interface Captured {
  readonly flavor: Flavor
  readonly events: readonly string[]
}

for (const server of ['mysql-9.7', 'mysql-8.0', 'mariadb-10.11'] as const) {
  const { flavor, events: texts } = JSON.parse(
    readFileSync(new URL(`../captured/${server}.json`, import.meta.url), 'utf8'),
  ) as Captured
  const events = texts.map((text) => {
    const buffer = Buffer.from(text, 'base64')
    return readEvent({ buffer, from: 0, to: buffer.length }, true)
  })
  const heads = events.filter(({ type }) => type === eventType.rotate || type === eventType.formatDescription)
  const heartbeat: BinlogEvent = { ...events[0], type: eventType.heartbeat } as BinlogEvent
  const begins = events.flatMap(({ type }, at) => (beginnings.has(type) ? [at] : []))
  const [first = 0, second = 0, third = 0, fourth = 0] = begins
  const watch = (last?: Identity, { name = 'a server', isInside = false } = {}) =>
    new IdentityWatch({
      flavor,
      server: name,
      preciseTimes: flavor === 'mysql',
      last,
      lastAt: { file: 'binlog.000007', offset: 4711 },
      compares: last !== undefined,
      resent: new Resent({ executed: parseGtidSet('', flavor) }),
      isInside,
    })
  const read = (until: number): Identity => {
    const reading = watch()
    for (const event of events.slice(0, until)) assert.equal(reading.see(event), false)
    const last = reading.last(false)
    assert(last !== undefined)
    return last
  }
  /** What the server sends when it is asked from the transaction that begins there. */
  const sentFrom = (at: number, until: number) => [...heads, ...events.slice(at, until)]

  const seeAll = (reading: IdentityWatch): void => {
    for (const event of sentFrom(second, fourth)) reading.see(event)
  }

  suite(`the last transaction of ${server}`, () => {
    test('is the one before the one that is under way', () => {
      const reading = watch()
      for (const event of events.slice(0, second + 1)) reading.see(event)
      assert.deepEqual(reading.last(true), read(second))
      assert.notEqual(read(third).gtid, read(second).gtid)
    })

    test('is kept from those who read when it comes again, and nothing after it is', () => {
      const last = read(third)
      const reading = watch(last)
      const given = sentFrom(second, fourth).filter((event) => !reading.see(event))
      assert.deepEqual(given, [...heads, ...events.slice(third, fourth)])
      assert.deepEqual(reading.last(false), read(fourth))
    })

    test('is found again by a heartbeat where nothing follows', () => {
      const last = read(third)
      const reading = watch(last)
      const uncertainAt = { file: 'binlog.000007', offset: 4711 }
      assert.deepEqual(reading.uncertainAt, uncertainAt)
      for (const event of sentFrom(second, third)) reading.see(event)
      assert.deepEqual(reading.last(false), last, 'not before it was compared whole')
      assert.deepEqual(reading.uncertainAt, uncertainAt)
      assert.equal(reading.see(heartbeat), false)
      assert.deepEqual(reading.last(false), last)
      assert.equal(reading.uncertainAt, undefined)
    })

    test('is found out when it is another one under the same number', () => {
      const last = read(third)
      const later = { ...last, at: last.at + 1000 }
      const longer = [
        { ...last, events: last.events + 1 },
        { ...last, bytes: last.bytes - 1 },
      ]
      // A time that is told to the microsecond says all; without one, everything else must agree as well.
      for (const other of flavor === 'mysql' ? [later] : [later, ...longer])
        assert.throws(() => seeAll(watch(other)), NumberReused)
      if (flavor !== 'mysql') return
      for (const other of longer) {
        seeAll(watch(other))
        assert.throws(() => seeAll(watch(other, { isInside: true })), FilesRemade)
      }
    })

    test('may be cut into other events by another server, but not be of another time where that is told', () => {
      const last = { ...read(third), events: 99, bytes: 9999 }
      const reading = watch(last, { name: 'another server', isInside: true })
      seeAll(reading)
      assert.equal(reading.last(false)?.server, 'another server')
      const late = watch({ ...last, at: last.at + 1 }, { name: 'another server' })
      if (flavor === 'mysql') assert.throws(() => seeAll(late), NumberReused)
      else assert.doesNotThrow(() => seeAll(late))
      assert(first < second)
    })
  })
}
