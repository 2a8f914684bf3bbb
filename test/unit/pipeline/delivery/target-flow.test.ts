import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { NodeLimits } from '../../../../src/pipeline/delivery/node-limits.ts'
import { TargetFlow } from '../../../../src/pipeline/delivery/target-flow.ts'
import type { Operation, Outcome, Sink } from '../../../../src/sink/sink.ts'
import { bodyOf } from '../../../support/bodies.ts'
import { Facts } from '../../../support/facts.ts'
import { sharingAlone } from '../../../support/sharing.ts'
import { settled, VirtualClock } from '../../../support/virtual-clock.ts'

const operation: Operation = {
  op: 'index',
  id: '1',
  version: 1n,
  routing: undefined,
  repeatable: true,
  body: bodyOf('x'.repeat(999)),
}
const never = new AbortController().signal

/** A target that answers when it is told to, and remembers when it was asked. */
class Target {
  readonly clock = new VirtualClock()
  readonly facts = new Facts()
  readonly flow: TargetFlow
  readonly underWay: PromiseWithResolvers<readonly Outcome[]>[] = []
  readonly #nodes: NodeLimits

  constructor(writesMax: number, isAdaptive = true) {
    const { clock, facts } = this
    const rates = { requestsPerSecond: 0, bytesPerSecond: 0, connections: 0 }
    this.#nodes = new NodeLimits({ target: 'main', ...rates, sharing: sharingAlone(clock), clock })
    this.flow = new TargetFlow({
      target: 'main',
      writesMax,
      isAdaptive,
      slowMs: 30_000,
      nodes: this.#nodes,
      observe: facts.observe,
    })
  }

  /** As each pipeline has its own. */
  sink(): Sink {
    return this.flow.through({
      write: async () => {
        const answer = Promise.withResolvers<readonly Outcome[]>()
        return await this.#nodes.pass({ node: 'one', bytes: 0 }, never, () => {
          this.underWay.push(answer)
          return answer.promise
        })
      },
    })
  }

  answer(outcome: Outcome = { kind: 'applied' }): void {
    this.underWay.shift()?.resolve([outcome])
  }
}

test('requests of all pipelines together are no more than the target is to have at once, in the order they came', async () => {
  const target = new Target(2)
  const order: number[] = []
  const writes = Array.from({ length: 5 }, async (_, at) => {
    await target.sink().write([operation], never)
    order.push(at)
  })
  for (let answered = 0; answered < 5; answered++) {
    await settled()
    assert.equal(target.underWay.length, Math.min(2, 5 - answered))
    target.answer()
  }
  await Promise.all(writes)
  assert.deepEqual(order, [0, 1, 2, 3, 4])
})

test('who gives up while waiting for a turn takes none', async () => {
  const target = new Target(1)
  const first = target.sink().write([operation], never)
  const leaving = new AbortController()
  const second = target.sink().write([operation], leaving.signal)
  const third = target.sink().write([operation], never)
  await settled()
  leaving.abort(new Error('stopped'))
  await assert.rejects(second, /stopped/)
  target.answer()
  await first
  await settled()
  assert.equal(target.underWay.length, 1)
  target.answer()
  await third
})

test('a target that refuses whole requests gets fewer at once, and all again when it is well', async () => {
  const target = new Target(8)
  for (const kind of ['overload', 'transient', 'overload'] as const) {
    const write = target.sink().write([operation], never)
    await settled()
    target.underWay.shift()?.reject(new Failure(kind, 'no'))
    await assert.rejects(write)
  }
  for (let at = 0; at < 200; at++) {
    const write = target.sink().write([operation], never)
    await settled()
    target.answer()
    await write
  }
  const limits = target.facts.of('target-concurrency').map(({ requestsMax }) => requestsMax)
  assert.deepEqual(limits, [4, 2, 1, 2, 3, 4, 5, 6, 7, 8])
})

test('a failure that is not the target being busy changes nothing, nor does any where it is not wanted', async () => {
  const steady = new Target(8, false)
  for (const [target, kind] of [
    [steady, 'overload'],
    [new Target(4), 'target'],
  ] as const) {
    const write = target.sink().write([operation], never)
    await settled()
    target.underWay.shift()?.reject(new Failure(kind, 'no'))
    await assert.rejects(write)
    assert.deepEqual(target.facts.of('target-concurrency'), [])
  }
})

test('a target whose requests take long gets fewer at once', async () => {
  const target = new Target(2)
  const answerAfter = async (ms: number): Promise<void> => {
    const write = target.sink().write([operation], never)
    await target.clock.advance(ms)
    target.answer()
    await write
  }
  for (let at = 0; at < 6; at++) await answerAfter(29_000)
  assert.deepEqual(target.facts.of('target-concurrency'), [])
  for (let at = 0; at < 6; at++) await answerAfter(31_000)
  assert.deepEqual(
    target.facts.of('target-concurrency').map(({ requestsMax }) => requestsMax),
    [1],
  )
})
