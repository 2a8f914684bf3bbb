import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeLimits } from '../../../../src/pipeline/delivery/node-limits.ts'
import { sharingAlone } from '../../../support/sharing.ts'
import { settled, VirtualClock } from '../../../support/virtual-clock.ts'

const never = new AbortController().signal
const none = { requestsPerSecond: 0, bytesPerSecond: 0, connections: 0 }

/** Nodes that answer as soon as they are asked, and remember when that was. */
class Nodes {
  readonly clock = new VirtualClock()
  readonly limits: NodeLimits
  readonly #startMs = this.clock.now()

  constructor(limits: Partial<typeof none>) {
    const { clock } = this
    this.limits = new NodeLimits({ target: 'main', ...none, ...limits, sharing: sharingAlone(clock), clock })
  }

  /** When nine requests of 1000 bytes came to a node, ms. */
  async nineTo(node: string): Promise<readonly number[]> {
    const atMs: number[] = []
    const requests = Array.from({ length: 9 }, async () => {
      await this.limits.pass({ node, bytes: 1000 }, never, async () => {
        atMs.push(this.clock.now() - this.#startMs)
        await settled()
      })
    })
    await Promise.all(requests)
    return atMs
  }
}

for (const [what, limits] of [
  ['requests', { requestsPerSecond: 4 }],
  ['bytes', { bytesPerSecond: 4000 }],
] as const) {
  test(`no more ${what} are sent to a node in a second than each is to have, whatever others get`, async () => {
    const nodes = new Nodes(limits)
    const both = Promise.all([nodes.nineTo('one'), nodes.nineTo('other')])
    await nodes.clock.advance(3_000)
    const spread = [0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000]
    assert.deepEqual(await both, [spread, spread])
  })
}

test('no more requests are at a node at once than each is to have, in the order they came', async () => {
  const { limits } = new Nodes({ connections: 2 })
  const order: string[] = []
  const first = Promise.withResolvers<void>()
  const others = Promise.withResolvers<void>()
  const send = (name: string, node: string, answered: Promise<void>): Promise<void> =>
    limits.pass({ node, bytes: 0 }, never, () => {
      order.push(name)
      return answered
    })
  const sent = [send('first', 'one', first.promise)]
  for (const name of ['second', 'third', 'fourth']) sent.push(send(name, 'one', others.promise))
  sent.push(send('elsewhere', 'other', others.promise))
  await settled()
  assert.deepEqual(order, ['first', 'second', 'elsewhere'])
  assert.equal(limits.onTheWay('one'), 4)
  first.resolve()
  await settled()
  assert.deepEqual(order, ['first', 'second', 'elsewhere', 'third'])
  assert.equal(limits.onTheWay('one'), 3)
  others.resolve()
  await Promise.all(sent)
  assert.deepEqual(order, ['first', 'second', 'elsewhere', 'third', 'fourth'])
})

test('who gives up while waiting for the pace leaves room for the next', async () => {
  const { limits, clock } = new Nodes({ connections: 1, requestsPerSecond: 1 })
  const request = { node: 'one', bytes: 0 }
  await limits.pass(request, never, settled)
  const leaving = new AbortController()
  const second = limits.pass(request, leaving.signal, settled)
  const third = limits.pass(request, never, () => Promise.resolve())
  await settled()
  leaving.abort(new Error('stopped'))
  await assert.rejects(second, /stopped/)
  await clock.until(third)
  assert.equal(limits.onTheWay('one'), 0)
})

test('what a request takes is told without what it waited', async () => {
  const { limits, clock } = new Nodes({ requestsPerSecond: 1 })
  for (const tookMs of [300, 200])
    await clock.until(limits.pass({ node: 'one', bytes: 0 }, never, () => clock.sleep(tookMs, never)))
  assert.equal(limits.took(), 500)
  assert.equal(limits.took(), 0)
})
