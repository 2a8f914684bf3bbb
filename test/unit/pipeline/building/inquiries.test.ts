import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import { MemoryCache } from '../../../../src/cache/memory/memory-cache.ts'
import { Inquiries, type InquiryLimits } from '../../../../src/pipeline/building/inquiries.ts'
import { Sharing } from '../../../../src/pipeline/building/sharing.ts'
import type { Reply } from '../../../../src/pipeline/building/shared-answers.ts'
import type { Answer, Question, Upstream } from '../../../../src/upstream/upstream.ts'
import { Facts } from '../../../support/facts.ts'
import { sharingAlone } from '../../../support/sharing.ts'
import { settled, VirtualClock } from '../../../support/virtual-clock.ts'

const never = new AbortController().signal

/** Counts what it is asked; fails as it is told. */
class Oracle implements Upstream {
  readonly questionsMax: number
  readonly requests: (readonly Question[])[] = []
  readonly atMs: number[] = []
  underWay = 0
  mostUnderWay = 0
  fail: (questions: readonly Question[]) => Failure | undefined = () => undefined
  tookMs = 0
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock, questionsMax: number) {
    this.#clock = clock
    this.questionsMax = questionsMax
  }

  async ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    this.requests.push(questions)
    this.atMs.push(this.#clock.now())
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
    try {
      if (this.tookMs > 0) await this.#clock.sleep(this.tookMs, signal)
      const refusal = this.fail(questions)
      if (refusal !== undefined) throw refusal
      return questions.map(({ id }) => (id === '0' ? undefined : `"answer ${id}"`))
    } finally {
      this.underWay--
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

const limits: InquiryLimits = {
  requestsPerSecond: 0,
  concurrency: 100,
  retries: 0,
  breakerFailures: 1000,
  breakerMs: 60_000,
  cacheMs: 0,
  cacheEntries: 100,
}

function subject(
  more: Partial<InquiryLimits> = {},
  questionsMax = 3,
  clock = new VirtualClock(),
  sharing = sharingAlone(clock),
) {
  const facts = new Facts()
  const oracle = new Oracle(clock, questionsMax)
  const inquiries = new Inquiries({
    name: 'oracle',
    shelf: 'oracle',
    upstream: oracle,
    limits: { ...limits, ...more },
    sharing,
    clock,
    observe: facts.observe,
  })
  const ask = (ids: readonly number[], signal = never) => inquiries.ask(ids.map(questionFor), signal)
  return { clock, facts, oracle, inquiries, ask }
}

function questionFor(id: number): Question {
  return { id: String(id) }
}

function said(replies: readonly Reply[]): readonly (string | undefined)[] {
  return replies.map((reply) => (reply.failure === undefined ? reply.answer : reply.failure.kind))
}

function failure(kind: FailureKind, retryAfterMs?: number): Failure {
  return new Failure(kind, kind, { retryAfterMs })
}

test('questions are asked in pieces, each once, and answered in their order', async () => {
  const { oracle, ask } = subject()
  const replies = await ask([1, 2, 1, 3, 4, 0])
  assert.deepEqual(said(replies), [
    '"answer 1"',
    '"answer 2"',
    '"answer 1"',
    '"answer 3"',
    '"answer 4"',
    undefined,
  ])
  assert.deepEqual(
    oracle.requests.map((questions) => questions.length),
    [3, 2],
  )
})

test('a fresh answer is used again, an old one is not, and only so many are kept', async () => {
  const { oracle, ask, clock } = subject({ cacheMs: 1000, cacheEntries: 2 })
  await ask([1])
  await ask([1])
  assert.equal(oracle.requests.length, 1)
  await clock.advance(1000)
  await ask([1])
  assert.equal(oracle.requests.length, 2)
  await ask([2, 3])
  await ask([2, 3])
  assert.equal(oracle.requests.length, 3)
  await ask([1])
  assert.equal(oracle.requests.length, 4)
})

test('those who ask the same at once share one request, and one who ends leaves the others their answer', async () => {
  const { oracle, ask, clock } = subject()
  oracle.tookMs = 100
  const ending = new AbortController()
  const first = ask([1], ending.signal)
  const second = ask([1, 2])
  await settled()
  ending.abort(new Error('the end'))
  await assert.rejects(first, /the end/)
  assert.deepEqual(said(await clock.until(second)), ['"answer 1"', '"answer 2"'])
})

test('of processes that share answers one asks, and when it fails another', async () => {
  const clock = new VirtualClock()
  const sharing = sharingAlone(clock)
  const [one, other] = [
    subject({ cacheMs: 60_000 }, 3, clock, sharing),
    subject({ cacheMs: 60_000 }, 3, clock, sharing),
  ]
  one.oracle.tookMs = 1000
  const asked = Promise.all([one.ask([1, 2]), other.ask([1, 3])])
  const [first, second] = await clock.until(asked)
  assert.deepEqual(said(first), ['"answer 1"', '"answer 2"'])
  assert.deepEqual(said(second), ['"answer 1"', '"answer 3"'])
  assert.deepEqual(other.oracle.requests, [[{ id: '3' }]])
  one.oracle.fail = () => failure('transient')
  const [failed, answeredNow] = await clock.until(Promise.all([one.ask([4]), other.ask([4])]))
  assert.deepEqual(said(failed), ['transient'])
  assert.deepEqual(said(answeredNow), ['"answer 4"'])
})

test('what a process was asking when it ended is asked by another', async () => {
  const clock = new VirtualClock()
  const sharing = sharingAlone(clock)
  const [one, other] = [
    subject({ cacheMs: 60_000 }, 3, clock, sharing),
    subject({ cacheMs: 60_000 }, 3, clock, sharing),
  ]
  one.oracle.tookMs = 5000
  const ending = new AbortController()
  const ended = one.ask([1], ending.signal)
  await settled()
  const waiting = other.ask([1])
  await clock.advance(200)
  assert.equal(other.oracle.requests.length, 0)
  ending.abort(new Error('the end'))
  await assert.rejects(ended, /the end/)
  assert.deepEqual(said(await clock.until(waiting)), ['"answer 1"'])
})

test('neither the rate nor the number under way is ever exceeded', async () => {
  const { oracle, ask, clock } = subject({ requestsPerSecond: 10, concurrency: 2 }, 1)
  oracle.tookMs = 150
  await clock.until(ask(Array.from({ length: 20 }, (_, at) => at + 1)))
  assert.equal(oracle.mostUnderWay, 2)
  for (const [at, beganMs] of oracle.atMs.entries())
    assert.ok(at === 0 || beganMs - (oracle.atMs[at - 1] ?? 0) >= 99, `request ${at} began too early`)
})

test('a request that fails is tried again after the wait that was asked for, or ours, and then given up', async () => {
  const { oracle, ask, clock } = subject({ retries: 2 })
  oracle.fail = () => (oracle.requests.length < 3 ? failure('overload', 7000) : undefined)
  assert.deepEqual(said(await clock.until(ask([1]))), ['"answer 1"'])
  const [first = 0, , third = 0] = oracle.atMs
  assert.equal(third - first, 14_000)
  oracle.fail = () => failure('transient')
  assert.deepEqual(said(await clock.until(ask([1]))), ['transient'])
  assert.equal(oracle.requests.length, 6)
})

test('nobody asks an upstream before the time that it named, however many want to', async () => {
  const { oracle, ask, clock } = subject({ retries: 1, requestsPerSecond: 100, concurrency: 2 }, 1)
  oracle.fail = () => (oracle.requests.length === 1 ? failure('overload', 7000) : undefined)
  const replies = await clock.until(Promise.all([ask([1]), ask([2, 3, 4]), ask([5])]))
  assert.deepEqual(
    said(replies.flat()),
    [1, 2, 3, 4, 5].map((id) => `"answer ${id}"`),
  )
  const [refusedMs = 0, ...later] = oracle.atMs
  // One more was under way when it was refused.
  const early = later.filter((atMs) => atMs < refusedMs + 7000)
  assert.ok(early.length <= 1, `${early.length} were early`)
  for (const [at, beganMs] of later.entries())
    assert.ok(at < 2 || beganMs - (later[at - 1] ?? 0) >= 9, 'the rate is kept when it is asked again')
})

for (const requestsPerSecond of [0, 10])
  test(`what an upstream named to one process holds for those that share its limit of ${requestsPerSecond}/s`, async () => {
    const clock = new VirtualClock()
    const shared = new MemoryCache(() => clock.now())
    const own = new MemoryCache(() => clock.now())
    const [one, other] = [0, 1].map(() =>
      subject({ requestsPerSecond }, 1, clock, new Sharing({ shared, own, processes: 2, clock })),
    )
    assert(one !== undefined && other !== undefined)
    one.oracle.fail = () => failure('overload', 7000)
    await clock.until(one.ask([1]))
    const refusedMs = one.oracle.atMs[0] ?? 0
    await clock.until(other.ask([2]))
    assert.deepEqual(
      other.oracle.atMs.map((atMs) => atMs - refusedMs),
      [7000],
    )
  })

test('one question that can never be answered does not take the others with it', async () => {
  const { oracle, ask } = subject({}, 8)
  oracle.fail = (questions) => (questions.some(({ id }) => id === '5') ? failure('rejected') : undefined)
  const replies = said(await ask([1, 2, 3, 4, 5, 6, 7, 8]))
  assert.deepEqual(
    replies.map((text, at) => [at + 1, text]).filter(([, text]) => text === 'rejected'),
    [[5, 'rejected']],
  )
})

test('an upstream that fails again and again is left alone, then tried once', async () => {
  const { oracle, ask, clock, facts } = subject({ breakerFailures: 3, retries: 10 })
  oracle.fail = () => failure('transient')
  assert.deepEqual(said(await clock.until(ask([1]))), ['transient'])
  assert.equal(oracle.requests.length, 3)
  assert.deepEqual(said(await ask([2])), ['transient'])
  assert.equal(oracle.requests.length, 3, 'it is not asked while it is left alone')
  await clock.advance(60_000)
  assert.deepEqual(said(await clock.until(ask([3]))), ['transient'])
  assert.equal(oracle.requests.length, 4, 'it is tried once')
  await clock.advance(60_000)
  oracle.fail = () => undefined
  assert.deepEqual(said(await ask([4])), ['"answer 4"'])
  const states = facts.of('upstream-state').map(({ failure: why }) => why?.kind)
  assert.deepEqual(states, ['transient', 'transient', undefined])
})

test('what was answered before a renewal is asked for once more', async () => {
  const { inquiries, oracle, clock } = subject({ cacheMs: 60_000 })
  const ask = () => clock.until(inquiries.ask([{ id: '1' }], never))
  await ask()
  await ask()
  assert.equal(oracle.requests.length, 1)
  inquiries.renew(clock.now())
  await ask()
  inquiries.renew(clock.now() - 1)
  await ask()
  assert.equal(oracle.requests.length, 2)
})
