/** Who is told of what, by requests to a receiver of our own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import type { Fact } from '../../../src/pipeline/facts.ts'
import { alertsOf } from '../../../src/serving/alerting.ts'
import { configurationOf } from '../../support/configured.ts'
import { bodyOf } from '../../support/loopback-node.ts'

const failure = new Failure('target', 'no index <orders>', { remedy: 'make it & go on' })
const sources = { main: { url: 'mysql://u@h/' }, quiet: { url: 'mysql://u@q/' } }
const pipelines = {
  orders: { table: 'shop.orders', source: 'main', policy: { alerts: ['search'] } },
  people: { table: 'shop.people', source: 'main' },
  silent: { table: 'shop.silent', source: 'quiet', policy: { alerts: [] } },
}

function becomes(pipeline: string, is: 'failed' | 'running'): Fact {
  const kind = 'pipeline-state'
  return {
    kind,
    pipeline,
    group: `${pipeline}@primary`,
    state: is,
    failure: is === 'failed' ? failure : undefined,
  }
}

function unread(source: string): Fact {
  return { kind: 'source-state', source, state: 'failed', failure }
}

/** What each channel is told of these facts: paths of the receiver are their names. */
async function told(t: TestContext, facts: readonly Fact[]): Promise<Record<string, readonly string[]>> {
  const bodies: Record<string, string[]> = { '/search': [], '/ops': [] }
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    bodies[request.url ?? '']?.push((await bodyOf(request)).toString())
    response.end()
  }
  const receiver = createServer((request, response) => void take(request, response))
  t.after(() => receiver.close())
  await once(receiver.listen(0, '127.0.0.1'), 'listening')
  const { port } = receiver.address() as AddressInfo
  const channels = {
    search: { webhook: `http://127.0.0.1:${port}/search` },
    ops: { webhook: `http://127.0.0.1:${port}/ops`, format: 'slack' },
  }
  const failed: string[] = []
  const alerts = alertsOf(configurationOf(t, pipelines, { sources, alerts: { channels } }), (why) =>
    failed.push(why),
  )
  for (const fact of facts) alerts.observe(fact)
  await alerts.close()
  assert.deepEqual(failed, [])
  return bodies
}

test('a channel is told of the pipelines that name it, and of those that name none', async (t) => {
  const facts = ['orders', 'people', 'silent'].flatMap((name) => [
    becomes(name, 'failed'),
    becomes(name, 'running'),
  ])
  const { '/search': search = [], '/ops': ops = [] } = await told(t, facts)
  assert.deepEqual(
    search.map((body) => {
      const { state, subject } = JSON.parse(body) as { readonly state: string; readonly subject: string }
      return `${state} ${subject}`
    }),
    ['open orders@primary', 'over orders@primary', 'open people@primary', 'over people@primary'],
  )
  assert.equal(ops.length, 2)
})

test('the people of a source’s pipelines are told of it; all are told of what is nobody’s own', async (t) => {
  assert.deepEqual(lengths(await told(t, [unread('main')])), [1, 1])
  assert.deepEqual(lengths(await told(t, [unread('quiet')])), [0, 0])
  assert.deepEqual(lengths(await told(t, [unread('another')])), [1, 1])
})

test('a message to Slack is its text, without markup', async (t) => {
  const { '/ops': ops = [] } = await told(t, [becomes('people', 'failed')])
  assert.deepEqual(JSON.parse(ops[0] ?? ''), {
    text: 'millrace: people@primary: has stopped: no index &lt;orders&gt;\nremedy: make it &amp; go on',
  })
})

test('a channel that the settings do not have is refused, with the one that was meant', (t) => {
  const alerts = { channels: { search: { webhook: 'http://127.0.0.1:1' } } }
  const wrong = { orders: { table: 'shop.orders', policy: { alerts: ['serach'] } } }
  assert.throws(
    () => configurationOf(t, wrong, { alerts }),
    /policy\.alerts\.0: there is no channel "serach".*did you mean "search"/s,
  )
})

function lengths(bodies: Readonly<Record<string, readonly string[]>>): readonly number[] {
  return Object.values(bodies).map(({ length }) => length)
}
