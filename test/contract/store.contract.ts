/** What every store of small state keeps to. One suite, run over each implementation. */
import assert from 'node:assert/strict'
import type { Store } from '../../src/store/store.ts'
import { rulesOf } from '../support/rules.ts'

export interface StoreSubject {
  readonly store: Store
  /** Closes the store and opens it again. */
  readonly reopen: () => Promise<Store>
  readonly close: () => Promise<void>
}

export function testStore(name: string, open: () => Promise<StoreSubject>): void {
  const check = rulesOf(name, open)
  check('a value is written only over the revision that was expected', compareAndSet)
  check('of many who write at once, one is first', race)
  check('values are listed by name, by prefix, page after page', listing)
  check('prefixes are text, not patterns', prefixes)
  check('streams number their records from 1 and give the newest first', streams)
  check('everything survives a reopening', survival)
}

async function compareAndSet({ store }: StoreSubject): Promise<void> {
  assert.equal(await store.get('task'), undefined)
  assert.equal(await store.put('task', '{}', 1), undefined)
  assert.deepEqual(await store.put('task', '{"a":"ä 東"}', 0), {
    name: 'task',
    value: '{"a":"ä 東"}',
    revision: 1,
  })
  assert.equal(await store.put('task', '{}', 0), undefined)
  assert.equal(await store.put('task', '{}', 2), undefined)
  assert.deepEqual(await store.put('task', '[]', 1), { name: 'task', value: '[]', revision: 2 })
  assert.deepEqual(await store.get('task'), { name: 'task', value: '[]', revision: 2 })
}

async function race({ store }: StoreSubject): Promise<void> {
  const tries = await Promise.all(Array.from({ length: 10 }, (_, who) => store.put('lease', String(who), 0)))
  const winners = tries.filter((stored) => stored !== undefined)
  assert.equal(winners.length, 1)
  assert.deepEqual(await store.get('lease'), winners[0])
}

async function listing({ store }: StoreSubject): Promise<void> {
  for (const name of ['task:b', 'task:a', 'run:1', 'task:c', 'task', 'tasks', 'task:é', 'task:a:1'])
    await store.put(name, '1', 0)
  const names = async (prefix: string, after: string | undefined, limit: number): Promise<string[]> =>
    (await store.list(prefix, after, limit)).map((stored) => stored.name)
  assert.deepEqual(await names('task:', undefined, 10), ['task:a', 'task:a:1', 'task:b', 'task:c', 'task:é'])
  assert.deepEqual(await names('task:', undefined, 2), ['task:a', 'task:a:1'])
  assert.deepEqual(await names('task:', 'task:a:1', 2), ['task:b', 'task:c'])
  assert.deepEqual(await names('task:', 'task:é', 2), [])
  assert.deepEqual(await names('', 'task:c', 9), ['task:é', 'tasks'])
}

async function prefixes({ store }: StoreSubject): Promise<void> {
  for (const name of ['a%b', 'a_b', 'axb', 'A%b']) await store.put(name, '1', 0)
  assert.deepEqual(
    (await store.list('a%', undefined, 10)).map(({ name }) => name),
    ['a%b'],
  )
  assert.deepEqual(
    (await store.list('a_', undefined, 10)).map(({ name }) => name),
    ['a_b'],
  )
}

async function streams({ store }: StoreSubject): Promise<void> {
  assert.deepEqual(await store.newest('audit', 5), [])
  const numbers = []
  for (const record of ['one', 'two', 'three']) numbers.push(await store.append('audit', record))
  assert.deepEqual(numbers, [1, 2, 3])
  assert.equal(await store.append('runs', 'other'), 1)
  assert.deepEqual(await store.newest('audit', 2), [
    { number: 3, record: 'three' },
    { number: 2, record: 'two' },
  ])
}

async function survival({ store, reopen }: StoreSubject): Promise<void> {
  await store.put('task', 'value', 0)
  await store.append('audit', 'one')
  const again = await reopen()
  assert.equal((await again.get('task'))?.value, 'value')
  assert.equal(await again.append('audit', 'two'), 2)
}
