import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../../src/change/failure.ts'
import { categoryOf, decide, failureOf, remedyOf } from '../../../src/pipeline/retry-policy.ts'

const decisions: Readonly<Record<FailureKind, 'retry' | 'stop'>> = {
  transient: 'retry',
  overload: 'retry',
  target: 'retry',
  unauthorised: 'retry',
  full: 'retry',
  rejected: 'stop',
  configuration: 'stop',
  unsupported: 'stop',
  corrupt: 'stop',
  lost: 'stop',
  conflict: 'stop',
}

test('what passes by itself is tried again; what needs a person stops', () => {
  for (const [kind, expected] of Object.entries(decisions))
    assert.equal(decide(new Failure(kind as FailureKind, 'x'), 1).kind, expected, kind)
})

test('waits follow Fibonacci up to 30 seconds', () => {
  const waits = Array.from({ length: 12 }, (_, at) => decide(new Failure('transient', 'x'), at + 1))
  assert.deepEqual(
    waits.map((decision) => (decision.kind === 'retry' ? decision.waitMs / 1000 : undefined)),
    [1, 1, 2, 3, 5, 8, 13, 21, 30, 30, 30, 30],
  )
})

test('a bug is not taken for an operating error', () => {
  const failure = new Failure('full', 'no room')
  assert.equal(failureOf(failure), failure)
  assert.throws(() => failureOf(new TypeError('oops')), TypeError)
})

test('waits end at the most that is allowed, and differ by a tenth so that not all come back at once', () => {
  const waits = [0, 0.5, 0.999].map((chance) =>
    decide(new Failure('overload', 'x'), 20, { waitSecondsMax: 10, chance }),
  )
  assert.deepEqual(
    waits.map((decision) => (decision.kind === 'retry' ? decision.waitMs : undefined)),
    [9000, 10_000, 10_998],
  )
})

test('every failure has a category and says what a person can do', () => {
  for (const kind of Object.keys(decisions) as FailureKind[]) {
    assert.match(categoryOf(new Failure(kind, 'x')), /^[a-z]+$/)
    assert.match(remedyOf(new Failure(kind, 'x')), /\w+ \w+/)
  }
  assert.equal(remedyOf(new Failure('target', 'x', { remedy: 'open the index' })), 'open the index')
})
