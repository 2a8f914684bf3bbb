import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { createHealth } from '../../../src/observe/health.ts'
import type { Fact } from '../../../src/pipeline/facts.ts'

const group = 'orders@primary'
const started: Fact = { kind: 'capture-started', source: 'main', position: 'p', epoch: 1 }
const running: Fact = {
  kind: 'pipeline-state',
  pipeline: 'orders',
  group,
  state: 'running',
  failure: undefined,
}

function healthAfter(...facts: readonly Fact[]): ReturnType<typeof createHealth> {
  const health = createHealth({ sources: ['main'], groups: [group] })
  for (const fact of facts) health.observe(fact)
  return health
}

test('ready once every source captures and every pipeline delivers, and not before', () => {
  assert.deepEqual(healthAfter().ready(), {
    ready: false,
    reasons: ['source main has not begun yet', 'pipeline orders has not begun yet'],
  })
  assert.equal(healthAfter(started).ready().ready, false)
  assert.deepEqual(healthAfter(started, running).ready(), { ready: true, reasons: [] })
})

test('a failure ends readiness with its reason, and its end brings it back', () => {
  const failure = new Failure('target', 'the index is gone')
  const failed: Fact = { kind: 'pipeline-state', pipeline: 'orders', group, state: 'failed', failure }
  assert.deepEqual(healthAfter(started, running, failed).ready().reasons, [
    'pipeline orders is out of order: the index is gone',
  ])
  const waiting: Fact = { kind: 'target-waiting', group, failure, waitMs: 1, attempt: 1 }
  assert.equal(healthAfter(started, running, waiting).ready().ready, false)
  assert.equal(healthAfter(started, running, waiting, { kind: 'target-ready', group }).ready().ready, true)
  const away: Fact = { kind: 'source-state', source: 'main', state: 'waiting', failure }
  assert.equal(healthAfter(started, running, away).ready().ready, false)
  const back: Fact = { kind: 'source-state', source: 'main', state: 'running', failure: undefined }
  assert.equal(healthAfter(started, running, away, back).ready().ready, true)
})

test('a process that stops is alive, but not ready', () => {
  const health = healthAfter(started, running, { kind: 'stopping', reason: 'SIGTERM' })
  assert.equal(health.live(), true)
  assert.deepEqual(health.ready().reasons, ['the process is stopping'])
})

test('a canary that no search finds ends readiness, until one finds it or the pipeline is paused', () => {
  const missing: Fact = { kind: 'canary', group, isFound: false, seconds: 31, failure: undefined }
  const paused: Fact = { ...running, state: 'paused' }
  assert.deepEqual(healthAfter(started, running, missing).ready().reasons, [
    'orders: no search finds the canary, changed 31 s ago',
  ])
  assert.equal(healthAfter(started, running, missing, { ...missing, isFound: true }).ready().ready, true)
  assert.equal(healthAfter(started, running, missing, paused).ready().ready, true)
})
