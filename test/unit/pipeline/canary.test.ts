import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { watchCanary, type CanaryParts } from '../../../src/pipeline/canary.ts'
import { Facts } from '../../support/facts.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

/** A way on which each change takes so long to be found, ms. */
function wayOf(takesMs: (change: number) => number, changed: Partial<CanaryParts> = {}) {
  const clock = new VirtualClock()
  const facts = new Facts()
  const changes: number[] = []
  const found = (): number | undefined =>
    changes.findLast((value, at) => clock.now() >= value + takesMs(at + 1))
  const parts: CanaryParts = {
    group: 'orders@primary',
    everyMs: 10_000,
    withinMs: 30_000,
    clock,
    observe: facts.observe,
    change: (value) => {
      changes.push(value)
      return Promise.resolve()
    },
    found: () => Promise.resolve(found()),
    ...changed,
  }
  const stop = new AbortController()
  const watching = watchCanary(parts, stop.signal).catch(() => undefined)
  const told = (): readonly (readonly [boolean, number, string | undefined])[] =>
    facts
      .of('canary')
      .map(({ isFound, seconds, failure }) => [isFound, Math.round(seconds), failure?.message])
  return {
    clock,
    changes,
    told,
    async end() {
      stop.abort()
      await clock.until(watching)
    },
  }
}

test('the time from a change until a search finds it is told, change by change', async () => {
  const way = wayOf((change) => change * 1000)
  await way.clock.advance(25_000)
  assert.equal(way.changes.length, 3)
  assert.deepEqual(way.told(), [
    [true, 1, undefined],
    [true, 2, undefined],
    [true, 3, undefined],
  ])
  await way.end()
})

test('a change that is not found in time is told of, again and again, until it is found', async () => {
  const way = wayOf((change) => (change === 2 ? 70_000 : 0))
  await way.clock.advance(100_000)
  const [first, ...rest] = way.told()
  assert.deepEqual(first, [true, 0, undefined])
  assert.deepEqual(
    rest.slice(0, 3).map(([isFound]) => isFound),
    [false, false, true],
  )
  assert(
    way
      .told()
      .slice(4)
      .every(([isFound]) => isFound),
  )
  await way.end()
})

test('who cannot change the row, or search, says why', async () => {
  let refused = 0
  const way = wayOf(() => 0, {
    change: () => {
      refused++
      return Promise.reject(new Failure('unauthorised', 'UPDATE command denied'))
    },
  })
  await way.clock.advance(31_000 * 1.1)
  assert.deepEqual(
    way.told().map(([isFound, , why]) => [isFound, why]),
    [[false, 'UPDATE command denied']],
  )
  assert(refused > 1)
  await way.end()
})
