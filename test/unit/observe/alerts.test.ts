import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { AlertChannel, type AlertMessage } from '../../../src/observe/alert-channel.ts'
import { createAlerts } from '../../../src/observe/alerts.ts'
import type { Fact, PipelineState } from '../../../src/pipeline/facts.ts'

const group = 'orders@main'
const failure = new Failure('target', 'the index is read-only', { remedy: 'remove the block' })
const waits: Fact = { kind: 'target-waiting', group, failure, waitMs: 1000, attempt: 1 }

/** A group of people who read every message, and a time that passes when it is told to. */
class People {
  readonly messages: AlertMessage[] = []
  readonly failed: string[] = []
  nowMs = 0
  refuses = 0
  readonly #alerts = createAlerts({
    limits: { afterMs: 60_000, lagSeconds: 300 },
    link: 'https://millrace.example/status',
    nowMs: () => this.nowMs,
    channels: [
      new AlertChannel({
        hears: () => true,
        send: (message) => {
          if (this.refuses-- > 0) return Promise.reject(new Error('no'))
          this.messages.push(message)
          return Promise.resolve()
        },
        failed: (why) => this.failed.push(why),
      }),
    ],
  })

  async hear(...facts: readonly Fact[]): Promise<void> {
    for (const fact of facts) this.#alerts.observe(fact)
    await this.#alerts.close()
  }

  /** Time passes; the daemon states lag all the while. */
  async pass(ms: number, lagSeconds = 0): Promise<void> {
    this.nowMs += ms
    await this.hear(lags(lagSeconds))
  }

  get told(): readonly string[] {
    return this.messages.map((message) => `${message.state} ${message.incident}`)
  }
}

function lags(seconds: number): Fact {
  return { kind: 'lag', group, pipeline: 'orders', target: 'main', changes: 1, seconds }
}

function state(is: PipelineState): Fact {
  return {
    kind: 'pipeline-state',
    pipeline: 'orders',
    group,
    state: is,
    failure: is === 'failed' ? failure : undefined,
  }
}

test('a target that waits is told of once, after a while, and once more when it is over', async () => {
  const people = new People()
  await people.hear(waits)
  await people.pass(59_000)
  await people.hear(waits)
  assert.deepEqual(people.told, [])
  await people.pass(2_000)
  await people.hear(waits, waits)
  await people.pass(1_000_000)
  await people.hear({ kind: 'target-ready', group })
  assert.deepEqual(people.told, ['open orders@main:waiting', 'over orders@main:waiting'])
  const [open] = people.messages
  assert.deepEqual(
    [open?.subject, open?.remedy, open?.since],
    [group, 'remove the block', '1970-01-01T00:00:00.000Z'],
  )
  assert.equal(
    open?.text,
    'millrace: orders@main: waits for its target: the index is read-only\nremedy: remove the block\nhttps://millrace.example/status',
  )
})

test('what passes by itself before that is not told, nor what is paused', async () => {
  const people = new People()
  await people.hear(waits, { kind: 'target-ready', group })
  await people.pass(100_000)
  await people.hear(waits, state('paused'))
  await people.pass(100_000)
  assert.deepEqual(people.told, [])
})

test('a pipeline that stops, documents that are refused and a group that was left behind are told at once', async () => {
  const people = new People()
  await people.hear(state('failed'), { kind: 'group-lost', group }, { kind: 'dead-letters', group, open: 3 })
  await people.hear({ kind: 'group-lost', group }, { kind: 'dead-letters', group, open: 4 })
  assert.deepEqual(
    people.told,
    ['failed', 'lost', 'dead-letters'].map((kind) => `open ${group}:${kind}`),
  )
  await people.hear(state('running'), { kind: 'dead-letters', group, open: 0 })
  assert.equal(people.told.filter((each) => each.startsWith('over')).length, 3)
})

test('a lag is over when it is well below its limit, a warning when it stays away', async () => {
  const people = new People()
  await people.pass(1000, 301)
  await people.pass(1000, 299)
  await people.pass(1000, 302)
  await people.pass(1000, 10)
  assert.deepEqual(people.told, [`open ${group}:lag`, `over ${group}:lag`])
  await people.hear({ kind: 'group-endangered', group, share: 0.9 })
  await people.pass(50_000)
  await people.hear({ kind: 'group-endangered', group, share: 0.9 })
  await people.pass(50_000)
  assert.equal(people.told.length, 3)
  await people.pass(20_000)
  assert.equal(people.told.at(-1), `over ${group}:endangered`)
})

test('a source that cannot be read is told of after a while, one that failed at once', async () => {
  const people = new People()
  const waiting: Fact = { kind: 'source-state', source: 'db', state: 'waiting', failure }
  await people.hear(waiting)
  await people.pass(61_000)
  await people.hear({ ...waiting, state: 'running', failure: undefined })
  await people.hear({ ...waiting, state: 'failed' })
  assert.deepEqual(people.told, ['open db:source', 'over db:source', 'open db:source'])
})

test('a message that does not arrive is sent again, a few times; nobody waits for it', async () => {
  const people = new People()
  people.refuses = 1
  await people.hear(state('failed'))
  assert.deepEqual(people.told, [`open ${group}:failed`])
  const others = new People()
  others.refuses = 100
  await others.hear(state('failed'))
  assert.deepEqual([others.told, others.failed.length], [[], 1])
})
