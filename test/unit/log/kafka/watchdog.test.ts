import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Watchdog } from '../../../../src/log/kafka/watchdog.ts'

const patienceMs = 1000

test('a partition that has more and gets nothing for too long is named', () => {
  const watchdog = new Watchdog(patienceMs)
  const starved = [{ name: 'orders-0', arrivedTo: 5 }]
  assert.equal(watchdog.silent(starved, 0), undefined)
  assert.equal(watchdog.silent(starved, patienceMs), undefined)
  assert.equal(watchdog.silent(starved, patienceMs + 1), 'orders-0')
})

test('one that gets something, however little, is not', () => {
  const watchdog = new Watchdog(patienceMs)
  for (let second = 0; second < 10; second++)
    assert.equal(watchdog.silent([{ name: 'orders-0', arrivedTo: second }], second * patienceMs), undefined)
})

test('one that had all in between begins its time anew', () => {
  const watchdog = new Watchdog(patienceMs)
  const starved = [{ name: 'orders-0', arrivedTo: 5 }]
  watchdog.silent(starved, 0)
  watchdog.silent([], patienceMs)
  assert.equal(watchdog.silent(starved, 2 * patienceMs), undefined)
})

test('one that starves is found beside another that does not', () => {
  const watchdog = new Watchdog(patienceMs)
  const found = [0, 1, 2].map((second) =>
    watchdog.silent(
      [
        { name: 'orders-0', arrivedTo: second },
        { name: 'orders-1', arrivedTo: 7 },
      ],
      second * patienceMs,
    ),
  )
  assert.deepEqual(found, [undefined, undefined, 'orders-1'])
})
