import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AckTracker } from '../../../../src/pipeline/delivery/ack-tracker.ts'

test('the offset before unfinished work is safe, finished work behind it or not', () => {
  const acks = new AckTracker(0)
  for (const offset of [3, 5, 6, 9]) acks.start(offset, 1)
  acks.finish(3)
  acks.finish(6)
  assert.equal(acks.safe, 5)
  assert.equal(acks.unfinished, 2)
  acks.finish(5)
  assert.equal(acks.safe, 9)
  acks.pass(20)
  acks.finish(9)
  assert.equal(acks.safe, 20)
})

test('work in several parts is finished with its last part', () => {
  const acks = new AckTracker(10)
  acks.start(10, 3)
  acks.finish(10)
  acks.finish(10)
  assert.equal(acks.safe, 10)
  acks.finish(10)
  assert.equal(acks.safe, 11)
})

test('offsets that do not ascend are a bug', () => {
  const acks = new AckTracker(5)
  assert.throws(() => acks.start(4, 1), { name: 'AssertionError' })
  acks.start(5, 1)
  assert.throws(() => acks.start(5, 1), { name: 'AssertionError' })
  assert.throws(() => acks.start(6, 0), { name: 'AssertionError' })
})

/** All that is known, kept in the plainest way. */
class NaiveTracker {
  readonly parts = new Map<number, number>()
  seen = 0

  get safe(): number {
    const unfinished = [...this.parts].filter(([, parts]) => parts > 0).map(([offset]) => offset)
    return Math.min(this.seen, ...unfinished)
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('start' as const), gap: fc.nat(3), parts: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('pass' as const), gap: fc.nat(5) }),
  fc.record({ kind: fc.constant('finish' as const), which: fc.nat() }),
)

test('in any order of starting, passing and finishing it agrees with a naive model, and never goes back', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const [acks, model] = [new AckTracker(0), new NaiveTracker()]
      let before = 0
      for (const each of steps) {
        if (each.kind === 'start') {
          const offset = model.seen + each.gap
          acks.start(offset, each.parts)
          model.parts.set(offset, each.parts)
          model.seen = offset + 1
        } else if (each.kind === 'pass') {
          acks.pass(model.seen + each.gap)
          model.seen += each.gap
        } else {
          const open = [...model.parts].filter(([, parts]) => parts > 0)
          const chosen = open[each.which % Math.max(1, open.length)]
          if (chosen === undefined) continue
          acks.finish(chosen[0])
          model.parts.set(chosen[0], chosen[1] - 1)
        }
        assert.equal(acks.safe, model.safe)
        assert.equal(acks.unfinished, [...model.parts.values()].filter((parts) => parts > 0).length)
        assert(acks.safe >= before)
        before = acks.safe
      }
    }),
  )
})

test('a long run does not keep what is finished', () => {
  const acks = new AckTracker(0)
  for (let offset = 0; offset < 50_000; offset++) {
    acks.start(offset, 1)
    acks.finish(offset)
  }
  assert.equal(acks.safe, 50_000)
  assert.equal(acks.unfinished, 0)
})
