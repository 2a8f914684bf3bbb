import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Concurrency, type Answered } from '../../../../src/pipeline/delivery/concurrency.ts'

const slowMs = 30_000

/** Mean rate over many requests to a target that answers as the model says for so many at once. */
function meanRate(max: number, model: (limit: number) => Answered, requests = 20_000): number {
  const concurrency = new Concurrency({ max, slowMs })
  let rate = 0
  for (let at = 0; at < requests; at++) {
    const { limit } = concurrency
    const answered = model(limit)
    rate += rateOf(limit, answered)
    concurrency.answered(answered)
  }
  return rate / requests
}

function rateOf(limit: number, { items, busy, tookMs }: Answered): number {
  return (limit * (items - busy)) / tookMs
}

function bestRate(max: number, model: (limit: number) => Answered): number {
  return Math.max(...Array.from({ length: max }, (_, at) => rateOf(at + 1, model(at + 1))))
}

test('the limit stays between 1 and the most that is allowed, whatever comes', () => {
  const event = fc.oneof(
    fc.constant('refused' as const),
    fc
      .tuple(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(100_000))
      .map(([items, share, tookMs]) => ({ items, busy: Math.floor(items * share), tookMs })),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.array(event, { maxLength: 300 }), (max, events) => {
      const concurrency = new Concurrency({ max, slowMs })
      for (const each of events) {
        if (each === 'refused') concurrency.refused()
        else concurrency.answered(each)
        assert(Number.isInteger(concurrency.limit))
        assert(concurrency.limit >= 1 && concurrency.limit <= max)
      }
    }),
  )
})

test('a target that refuses or does not answer is left with one request, and gets all again when it is well', () => {
  const concurrency = new Concurrency({ max: 12, slowMs })
  assert.equal(concurrency.limit, 12)
  for (let at = 0; at < 6; at++) concurrency.refused()
  assert.equal(concurrency.limit, 1)
  for (let at = 0; at < 300; at++) concurrency.answered({ items: 100, busy: 0, tookMs: 50 })
  assert.equal(concurrency.limit, 12)
})

test('where a share is refused whatever we do, we do not ask for less', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 24 }),
      fc.double({ min: 0.01, max: 0.9, noNaN: true }),
      (max, share) => {
        const model = (): Answered => ({ items: 1000, busy: Math.ceil(1000 * share), tookMs: 100 })
        assert(meanRate(max, model) > 0.85 * bestRate(max, model))
      },
    ),
    { numRuns: 50 },
  )
})

test('where more at once only are refused more, about as many are sent as get through best', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 24 }),
      fc.integer({ min: 1, max: 24 }),
      fc.double({ min: 0.02, max: 0.1, noNaN: true }),
      (max, room, thrashing) => {
        const model = (limit: number): Answered => {
          const over = Math.max(0, limit - room)
          // Beyond its room a target does less, for it is busy with refusing.
          const done = Math.max(0.1, 1 - thrashing * over) * Math.min(limit, room)
          return { items: 1000, busy: Math.round(1000 * (1 - done / limit)), tookMs: 100 }
        }
        assert(meanRate(max, model) > 0.75 * bestRate(max, model))
      },
    ),
    // So many are too many for its room that a quarter fewer change nothing but by a rounding.
    { numRuns: 50, examples: [[21, 2, 0.07]] },
  )
})

test('answers that take too long are a sign that the target has no room', () => {
  const concurrency = new Concurrency({ max: 8, slowMs: 1000 })
  const limits = Array.from({ length: 200 }, () => {
    concurrency.answered({ items: 100, busy: 0, tookMs: 300 * concurrency.limit })
    return concurrency.limit
  })
  const settled = limits.slice(100)
  assert(Math.max(...settled) <= 8)
  assert(settled.filter((limit) => limit <= 5).length > 60)
})
