import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import { containsAll, parseGtidSet } from '../../../../../src/source/mysql/gtid/gtid-set.ts'
import { MariadbGtidSet } from '../../../../../src/source/mysql/gtid/mariadb-gtid-set.ts'
import { MysqlGtidSet } from '../../../../../src/source/mysql/gtid/mysql-gtid-set.ts'

const one = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const two = 'f0000000-71ca-11e1-9e33-c80aa9429562'

test('a set is written as the server writes it', () => {
  const forms: readonly (readonly [string, string])[] = [
    ['', ''],
    [` ${two.toUpperCase()}:1 , \n${one}:5-7:1-4 `, `${one}:1-7,${two}:1`],
    [`${one}:1-3:5-9:4`, `${one}:1-9`],
    [`${one}:tag_b:1-2:4:Tag_A:9:1`, `${one}:tag_a:1:9:tag_b:1-2:4`],
    [`${one}:tag:2,${one}:1-5`, `${one}:1-5:tag:2`],
    ['5-2-18,0-1-270', '0-1-270,5-2-18'],
  ]
  for (const [text, canonical] of forms) assert.equal(parseGtidSet(text).toString(), canonical)
})

test('a text that is not a set is refused with the part that is wrong', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['nonsense', /"nonsense" is not a GTID set/],
    [`${one}:1,abc:2`, /"abc:2" in/],
    [one, /after the uuid, expected/],
    [`${one}:0`, /from 1 up/],
    [`${one}:5-4`, /from 1 up/],
    [`${one}:1-`, /from 1 up/],
    [`${one}:99999999999999999999`, /from 1 up/],
    ['0-1-5,0-2-6', /domain 0 is there twice/],
    ['0-1-5,7', /expected domain-server-number/],
    ['0-99999999999-5', /expected domain-server-number/],
    ['0-9999999999-5', /too large/],
  ]
  for (const [text, message] of wrong) {
    assert.throws(
      () => parseGtidSet(text),
      (error) => error instanceof Failure && error.kind === 'configuration' && message.test(error.message),
      text,
    )
  }
})

const member = fc.record({
  origin: fc.constantFrom(one, two, `${one}:tag`, `${two}:harvest`),
  number: fc.integer({ min: 1, max: 25 }),
})
const members = fc.array(member, { maxLength: 40 })
type Member = { readonly origin: string; readonly number: number }

function setOf(list: readonly Member[]): MysqlGtidSet {
  const set = new MysqlGtidSet()
  for (const { origin, number } of list) set.add({ origin, number, server: 0 })
  return set
}

function modelOf(list: readonly Member[]): ReadonlySet<string> {
  return new Set(list.map(({ origin, number }) => `${origin}:${number}`))
}

function listOf(model: ReadonlySet<string>): readonly Member[] {
  return [...model].map((name) => {
    const at = name.lastIndexOf(':')
    return { origin: name.slice(0, at), number: Number(name.slice(at + 1)) }
  })
}

test('the algebra of sets agrees with that of plain sets', () => {
  fc.assert(
    fc.property(members, members, member, (these, those, another) => {
      const [a, b] = [setOf(these), setOf(those)]
      const [modelA, modelB] = [modelOf(these), modelOf(those)]
      const same = (set: MysqlGtidSet, model: ReadonlySet<string>): void =>
        assert.equal(set.toString(), setOf(listOf(model)).toString())
      assert.equal(a.has({ ...another, server: 0 }), modelA.has(`${another.origin}:${another.number}`))
      assert.equal(a.contains(b), modelB.isSubsetOf(modelA))
      same(a.union(b), modelA.union(modelB))
      same(a.subtract(b), modelA.difference(modelB))
      same(a.intersect(b), modelA.intersection(modelB))
      assert.equal(a.missingFrom(b), setOf(listOf(modelA.difference(modelB))).toString())
      assert.equal(a.isEmpty, modelA.size === 0)
      assert.equal(parseGtidSet(a.toString(), 'mysql').toString(), a.toString())
    }),
  )
})

test('a copy does not follow its original', () => {
  const original = setOf([{ origin: one, number: 1 }])
  const copy = original.copy()
  original.add({ origin: one, number: 2, server: 0 })
  assert.equal(copy.toString(), `${one}:1`)
})

test('the binary form can be read back, tags included', () => {
  fc.assert(
    fc.property(members, (list) => assert.equal(decode(setOf(list).encode()), setOf(list).toString())),
  )
})

test('the binary form of a set without tags is the one that every server knows', () => {
  const expected = Buffer.concat([
    Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from(one.replaceAll('-', ''), 'hex'),
    Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]),
  ])
  assert.deepEqual(parseGtidSet(`${one}:1-5`).copy(), parseGtidSet(`${one}:1-5`))
  assert.deepEqual(setOf([1, 2, 3, 4, 5].map((number) => ({ origin: one, number }))).encode(), expected)
})

test('of MariaDB, a set holds all numbers up to the last one of each domain', () => {
  const set = parseGtidSet('0-1-10,3-1-7')
  assert(set.has({ origin: '0', number: 10, server: 9 }))
  assert(!set.has({ origin: '0', number: 11, server: 1 }))
  assert(!set.has({ origin: '1', number: 1, server: 1 }))
  assert(set.contains(parseGtidSet('0-2-9')))
  assert(!set.contains(parseGtidSet('0-1-5,1-1-1')))
  assert.equal(set.missingFrom(parseGtidSet('0-1-12,3-1-5')), '3-1-7')
  set.add({ origin: '0', number: 11, server: 4 })
  set.add({ origin: '0', number: 5, server: 8 })
  assert.equal(set.toString(), '0-4-11,3-1-7')
})

test('the empty set is in every set, and sets of two flavors are not in each other', () => {
  assert(containsAll(parseGtidSet('0-1-1'), parseGtidSet('')))
  assert(!containsAll(parseGtidSet(''), parseGtidSet('0-1-1')))
  assert(!containsAll(parseGtidSet(`${one}:1`), parseGtidSet('0-1-1')))
})

/** Reads COM_BINLOG_DUMP_GTID's form; both kinds of it. */
function decode(bytes: Buffer): string {
  const tagged = bytes[7] === 1
  let at = 8
  const set = new MysqlGtidSet()
  for (let left = bytes.readUIntLE(tagged ? 1 : 0, 6); left > 0; left--) {
    const digits = bytes.toString('hex', at, at + 16)
    let origin = digits.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
    at += 16
    if (tagged) {
      const length = (bytes[at] ?? 0) / 2
      if (length > 0) origin += `:${bytes.toString('latin1', at + 1, at + 1 + length)}`
      at += 1 + length
    }
    const intervals = Number(bytes.readBigUInt64LE(at))
    at += 8
    for (let interval = 0; interval < intervals; interval++, at += 16) {
      const end = Number(bytes.readBigUInt64LE(at + 8))
      for (let number = Number(bytes.readBigUInt64LE(at)); number < end; number++)
        set.add({ origin, number, server: 0 })
    }
  }
  assert.equal(at, bytes.length)
  return set.toString()
}

test('a MariaDB position goes back to before a member, and never forward', () => {
  const set = MariadbGtidSet.parse('0-1-100,5-2-18')
  const before = (origin: string, server: number, number: number) =>
    set.before({ origin, server, number }).toString()
  assert.equal(before('0', 7, 60), '0-7-59,5-2-18')
  assert.equal(before('0', 1, 101), '0-1-100,5-2-18')
  assert.equal(before('5', 2, 1), '0-1-100')
  assert.equal(before('9', 2, 1), '0-1-100,5-2-18')
})
