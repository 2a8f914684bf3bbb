import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { supervise } from '../../../src/pipeline/supervise.ts'
import { Facts } from '../../support/facts.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

interface Run {
  readonly atMs: number
}

/** Runs a part that behaves as scripted, one entry for each start; counts the starts. */
async function startsOf(
  script: readonly ((clock: VirtualClock, signal: AbortSignal) => Promise<void>)[],
): Promise<{ readonly starts: readonly Run[]; readonly facts: Facts; readonly error: unknown }> {
  const clock = new VirtualClock(1, 0)
  const facts = new Facts()
  const stop = new AbortController()
  const starts: Run[] = []
  const run = async (signal: AbortSignal): Promise<void> => {
    const act = script[starts.length]
    starts.push({ atMs: clock.now() })
    if (act === undefined) stop.abort()
    else await act(clock, signal)
  }
  const supervised = supervise({ part: 'a part', clock, observe: facts.observe }, run, stop.signal)
  const [result] = await clock.until(Promise.allSettled([supervised]))
  return { starts, facts, error: result.status === 'rejected' ? result.reason : undefined }
}

const fails = (kind: 'transient' | 'conflict') => () => Promise.reject(new Failure(kind, `it is ${kind}`))

async function failsLate(clock: VirtualClock, signal: AbortSignal): Promise<void> {
  await clock.sleep(61_000, signal)
  throw new Failure('transient', 'late')
}

test('a part whose failure passes is started again after longer and longer waits', async () => {
  const { starts, facts, error } = await startsOf(Array.from({ length: 4 }, () => fails('transient')))
  assert.equal(error, undefined)
  assert.deepEqual(
    starts.map(({ atMs }) => atMs),
    [0, 1000, 2000, 4000, 7000],
  )
  assert.deepEqual(
    facts.of('restarting').map(({ part, attempt, waitMs }) => [part, attempt, waitMs]),
    [
      ['a part', 1, 1000],
      ['a part', 2, 1000],
      ['a part', 3, 2000],
      ['a part', 4, 3000],
    ],
  )
})

test('a part that ran for a minute has recovered: its next failure is a first one', async () => {
  const { facts } = await startsOf([...Array.from({ length: 3 }, () => fails('transient')), failsLate])
  assert.deepEqual(
    facts.of('restarting').map(({ attempt }) => attempt),
    [1, 2, 3, 1],
  )
})

test('what a person must mend is thrown at once', async () => {
  const { starts, facts, error } = await startsOf([fails('transient'), fails('conflict')])
  assert(error instanceof Failure && error.kind === 'conflict')
  assert.equal(starts.length, 2)
  assert.equal(facts.of('restarting').length, 1)
})

test('a bug is thrown as it is', async () => {
  const { error } = await startsOf([() => Promise.reject(new TypeError('oops'))])
  assert(error instanceof TypeError)
})

test('a part that ends by itself is not started again', async () => {
  const { starts } = await startsOf([() => Promise.resolve(), fails('conflict')])
  assert.equal(starts.length, 1)
})
