/** What everything that processes share keeps to. One suite, run over each implementation. */
import assert from 'node:assert/strict'
import type { Cache, Found, Shelf } from '../../src/cache/cache.ts'
import { rulesOf } from '../support/rules.ts'

export interface CacheSubject {
  /** As two processes have it. */
  readonly one: Cache
  readonly other: Cache
  /** Lets so much time pass, ms. */
  readonly pass: (durationMs: number) => Promise<void>
  readonly close: () => Promise<void>
}

export function testCache(name: string, open: () => Promise<CacheSubject>): void {
  const check = rulesOf(name, open)
  check('what is taken of a rate is spread over all who share it', spread)
  check('a rate is not used before the time that was asked for', notBefore)
  check('a rate of which nothing is taken can be held back for all', heldBack)
  check('large amounts are waited for by whoever comes next', amounts)
  check('of all who want an answer one asks, and the others find it', askedOnce)
  check('an answer that grows old is asked for again', ageing)
  check('who asks and gives up leaves it to another', givingUp)
  check('who asks and is never heard of again is not waited for', vanishing)
  check('no more answers are kept than there may be, the newest among them', bounded)
  check('shelves know nothing of each other', shelves)
  check('hundreds of questions are found in their order', many)
}

const shelf: Shelf = { name: 'weather', freshMs: 60_000, entriesMax: 1000 }
const claimMs = 30_000

async function spread({ one, other }: CacheSubject): Promise<void> {
  const rate = { name: 'requests', perSecond: 10 }
  const begunMs = performance.now()
  const takes = Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? one : other).take(rate, 1, 0))
  const waits = (await Promise.all(takes)).map((wait) => wait ?? -1).toSorted((a, b) => a - b)
  const tookMs = performance.now() - begunMs
  assert.equal(waits[0], 0)
  for (const [at, wait] of waits.entries())
    assert.ok(wait >= at * 100 - tookMs && wait <= at * 100, `${at} waits ${wait} ms`)
  assert.equal(await one.take({ name: 'others', perSecond: 10 }, 1, 0), 0)
}

async function notBefore({ one, other }: CacheSubject): Promise<void> {
  const rate = { name: 'requests', perSecond: 1 }
  assert.equal(await one.take(rate, 1, 60_000), 60_000)
  const wait = (await other.take(rate, 1, 0)) ?? 0
  assert.ok(wait > 50_000 && wait <= 61_000, `${wait} ms`)
}

async function heldBack({ one, other }: CacheSubject): Promise<void> {
  const rate = { name: 'requests', perSecond: 1 }
  assert.equal(await one.take(rate, 0, 60_000), 60_000)
  const waits = await Promise.all([other.take(rate, 0, 0), one.take(rate, 0, 0)])
  for (const wait of waits) assert.ok(wait !== undefined && wait > 50_000 && wait <= 60_000, `${wait} ms`)
}

async function amounts({ one, other }: CacheSubject): Promise<void> {
  const rate = { name: 'bytes', perSecond: 1_000_000 }
  assert.equal(await one.take(rate, 60_000_000, 0), 0)
  const wait = (await other.take(rate, 1, 0)) ?? 0
  assert.ok(wait > 50_000 && wait <= 60_000, `${wait} ms`)
}

async function askedOnce({ one, other }: CacheSubject): Promise<void> {
  const questions = ['{"city":"1"}', '{"city":"ä \\" 東"}', '']
  assert.deepEqual(kindsOf(await one.look(shelf, questions, claimMs)), ['ours', 'ours', 'ours'])
  assert.deepEqual(kindsOf(await other.look(shelf, questions, claimMs)), ['theirs', 'theirs', 'theirs'])
  await one.keep(shelf, [
    { question: questions[0] ?? '', answer: '{"a":"ä 東"}' },
    { question: questions[1] ?? '', answer: undefined },
  ])
  assert.deepEqual(await other.look(shelf, questions, claimMs), [
    { kind: 'fresh', answer: '{"a":"ä 東"}' },
    { kind: 'fresh', answer: undefined },
    { kind: 'theirs' },
  ])
}

async function ageing({ one, other, pass }: CacheSubject): Promise<void> {
  const short = { ...shelf, name: 'short', freshMs: 300 }
  for (const each of [short, shelf]) await one.keep(each, [{ question: 'a', answer: '1' }])
  await pass(400)
  assert.deepEqual(kindsOf(await other.look(short, ['a'], claimMs)), ['ours'])
  assert.deepEqual(await other.look(shelf, ['a'], claimMs), [{ kind: 'fresh', answer: '1' }])
}

async function givingUp({ one, other }: CacheSubject): Promise<void> {
  await one.look(shelf, ['a', 'b'], claimMs)
  await one.leave(shelf, ['a'])
  assert.deepEqual(kindsOf(await other.look(shelf, ['a', 'b'], claimMs)), ['ours', 'theirs'])
}

async function vanishing({ one, other, pass }: CacheSubject): Promise<void> {
  await one.look(shelf, ['a'], 300)
  await pass(400)
  assert.deepEqual(kindsOf(await other.look(shelf, ['a'], claimMs)), ['ours'])
  await one.look(shelf, ['a'], claimMs)
  assert.deepEqual(kindsOf(await one.look(shelf, ['a'], claimMs)), ['theirs'])
}

async function bounded({ one, other, pass }: CacheSubject): Promise<void> {
  const small = { ...shelf, entriesMax: 3 }
  for (const question of ['a', 'b', 'c', 'd', 'e']) {
    await one.keep(small, [{ question, answer: '1' }])
    await pass(2)
  }
  const kinds = kindsOf(await other.look(small, ['a', 'b', 'c', 'd', 'e'], claimMs))
  assert.deepEqual(kinds, ['ours', 'ours', 'fresh', 'fresh', 'fresh'])
}

async function shelves({ one, other }: CacheSubject): Promise<void> {
  await one.keep(shelf, [{ question: 'a', answer: '1' }])
  assert.deepEqual(kindsOf(await other.look({ ...shelf, name: 'names' }, ['a'], claimMs)), ['ours'])
}

async function many({ one, other }: CacheSubject): Promise<void> {
  const questions = Array.from({ length: 1000 }, (_, at) => `question ${at}`)
  const answers = questions.map((question, at) => ({ question, answer: String(at) }))
  await one.keep(
    shelf,
    answers.filter((_, at) => at % 3 > 0),
  )
  const found = await other.look(shelf, questions, claimMs)
  const expected = answers.map(({ answer }, at) =>
    at % 3 > 0 ? { kind: 'fresh', answer } : { kind: 'ours' },
  )
  assert.deepEqual(found, expected)
}

function kindsOf(found: readonly Found[]): readonly Found['kind'][] {
  return found.map(({ kind }) => kind)
}
