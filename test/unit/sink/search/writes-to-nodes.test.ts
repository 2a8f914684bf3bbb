/** Which node a write goes to, and that it keeps to that one's limits, as the clients of both products have it. */
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { NodeLimits } from '../../../../src/pipeline/delivery/node-limits.ts'
import { Signal } from '../../../../src/change/signal.ts'
import { connectSearch } from '../../../../src/sink/search/connect.ts'
import type { Answer, Call } from '../../../../src/sink/search/search-client.ts'
import { answer, closing, failureOf, serve, settingsOf, type Client } from '../../../support/loopback-node.ts'
import { sharingAlone } from '../../../support/sharing.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const never = new AbortController().signal
const write: Call = { method: 'POST', path: '/orders/_bulk', body: '{}\n', lines: true, writes: true }

for (const product of ['elasticsearch', 'opensearch'] as const) {
  const connect = (nodes: readonly string[], connections: number): Client => {
    const clock = new VirtualClock()
    const rates = { requestsPerSecond: 0, bytesPerSecond: 0, connections }
    const throttle = new NodeLimits({ target: 'main', ...rates, sharing: sharingAlone(clock), clock })
    return closing(connectSearch(settingsOf({ product, nodes }), throttle))
  }

  describe(`a write through the client of ${product}`, () => {
    it('goes to the node with the fewest on their way', async () => {
      const slow = new Waiting()
      let answered = 0
      await using one = await serve(slow.take)
      await using other = await serve((_, response) => answer(response, `{"n":${++answered}}`))
      await using client = connect([one.url, other.url], 2)
      const held = client.send(write, never)
      await slow.came(1)
      for (let at = 0; at < 6; at++) await client.send(write, never)
      assert.equal(answered, 6)
      slow.answer()
      await held
    })

    it('waits where each node has as many as it may have, and finds each in turn', async () => {
      const nodes = [new Waiting(), new Waiting()] as const
      await using one = await serve(nodes[0].take)
      await using other = await serve(nodes[1].take)
      await using client = connect([one.url, other.url], 1)
      const writes = Array.from({ length: 6 }, async () => await client.send(write, never))
      for (let at = 1; at <= 3; at++) {
        await Promise.all(nodes.map((node) => node.came(at)))
        for (const node of nodes) node.answer()
      }
      await Promise.all(writes)
      assert.deepEqual(
        nodes.map(({ most }) => most),
        [1, 1],
      )
    })

    it('that waited for a node which is gone goes to another, within that one’s limits', async () => {
      const good = new Waiting()
      await using other = await serve(good.take)
      const gone = await serve(good.take)
      await gone[Symbol.asyncDispose]()
      await using client = connect([other.url, gone.url], 1)
      await client.dialect(never)
      const writes = Array.from({ length: 4 }, async () => await client.send(write, never))
      const [one, refused, ...more] = writes as [Promise<Answer>, Promise<Answer>, ...Promise<Answer>[]]
      await failureOf('transient', refused)
      for (let at = 1; at <= 3; at++) {
        await good.came(at)
        good.answer()
      }
      await Promise.all([one, ...more])
      assert.equal(good.most, 1)
    })
  })
}

/** A node whose requests wait until they are to be answered. */
class Waiting {
  /** At once, so far. */
  most = 0
  readonly #came = new Signal()
  readonly #underWay: ServerResponse[] = []

  readonly take = (_: IncomingMessage, response: ServerResponse): void => {
    this.#underWay.push(response)
    this.most = Math.max(this.most, this.#underWay.length)
    this.#came.notify()
  }

  /** Resolves when so many have come, all in all. */
  async came(requests: number): Promise<void> {
    await this.#came.next(requests - 1, never)
  }

  answer(): void {
    for (const response of this.#underWay.splice(0)) answer(response, '{}')
  }
}
