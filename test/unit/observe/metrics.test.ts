import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import type { Fact } from '../../../src/pipeline/facts.ts'

const group = 'orders@primary'

async function metricsAfter(...facts: readonly Fact[]): Promise<readonly string[]> {
  const metrics = createMetrics('1.2.3')
  for (const fact of facts) metrics.observe(fact)
  return (await metrics.text()).split('\n')
}

function assertLine(lines: readonly string[], line: string): void {
  const name = line.split('{')[0] ?? ''
  assert.ok(
    lines.includes(line),
    `${line}\nis not among\n${lines.filter((each) => each.startsWith(name)).join('\n')}`,
  )
}

function state(name: string, value: number): string {
  return `millrace_pipeline_state{pipeline="orders",target="primary",state="${name}"} ${value}`
}

const written: Fact = {
  kind: 'written',
  group,
  lane: 0,
  indexed: 10,
  deleted: 2,
  stale: 1,
  busy: 3,
  rejected: 1,
  bytes: 5000,
  tookMs: 30,
  latenciesMs: [4, 20, 900],
}

test('what was written is counted by what came of it, and timed', async () => {
  const lines = await metricsAfter(written, written)
  const labels = 'pipeline="orders",target="primary"'
  assertLine(lines, `millrace_sink_documents_total{${labels},action="index",result="applied"} 20`)
  assertLine(lines, `millrace_sink_documents_total{${labels},action="delete",result="applied"} 4`)
  assertLine(lines, `millrace_sink_documents_total{${labels},action="any",result="rejected"} 2`)
  assertLine(lines, `millrace_sink_bytes_total{${labels}} 10000`)
  assertLine(lines, `millrace_sink_bulk_duration_seconds_count{${labels}} 2`)
  assertLine(lines, `millrace_end_to_end_latency_seconds_bucket{le="0.025",${labels}} 4`)
  assertLine(lines, `millrace_end_to_end_latency_seconds_count{${labels}} 6`)
})

test('capture: rows by kind, records, errors, and when the source was last heard of', async () => {
  const failure = new Failure('full', 'no room')
  const lines = await metricsAfter(
    { kind: 'capture-started', source: 'main', position: 'p', epoch: 1 },
    { kind: 'source-alive', source: 'main', atMs: 5_000 },
    {
      kind: 'captured',
      source: 'main',
      changes: 6,
      inserts: 1,
      updates: 2,
      deletes: 3,
      lastCommittedAtMs: 4_000,
    },
    { kind: 'appended', source: 'main', records: 6, seq: 6, position: 'p' },
    { kind: 'append-failed', source: 'main', failure },
  )
  assertLine(lines, 'millrace_source_connected{source="main"} 1')
  assertLine(lines, 'millrace_source_last_event_timestamp_seconds{source="main"} 5')
  assertLine(lines, 'millrace_source_events_total{source="main",op="delete"} 3')
  assertLine(lines, 'millrace_log_appended_records_total{source="main"} 6')
  assertLine(lines, 'millrace_log_append_errors_total{source="main"} 1')
})

test('an interrupted source is not connected', async () => {
  const failure = new Failure('unauthorised', 'no')
  const lines = await metricsAfter(
    { kind: 'source-alive', source: 'main', atMs: 5_000 },
    { kind: 'source-state', source: 'main', state: 'waiting', failure },
  )
  assertLine(lines, 'millrace_source_connected{source="main"} 0')
  assertLine(lines, 'millrace_source_disconnects_total{source="main",reason="unauthorised"} 1')
})

test('a pipeline is in one state; after its target is back it is in the one from before', async () => {
  const loading: Fact = {
    kind: 'pipeline-state',
    pipeline: 'orders',
    group,
    state: 'loading',
    failure: undefined,
  }
  const waiting: Fact = {
    kind: 'target-waiting',
    group,
    failure: new Failure('target', 'red'),
    waitMs: 1,
    attempt: 1,
  }
  const during = await metricsAfter(loading, waiting)
  assertLine(during, state('waiting', 1))
  assertLine(during, state('loading', 0))
  assertLine(during, 'millrace_sink_retries_total{pipeline="orders",target="primary",reason="target"} 1')
  const afterwards = await metricsAfter(loading, waiting, { kind: 'target-ready', group })
  assertLine(afterwards, state('waiting', 0))
  assertLine(afterwards, state('loading', 1))
})

test('lag, retention and loads', async () => {
  const lines = await metricsAfter(
    { kind: 'lag', group, pipeline: 'orders', target: 'primary', changes: 7, seconds: 1.5 },
    {
      kind: 'retention',
      source: 'main',
      bytes: 10,
      bytesMax: 100,
      oldestAppendedAtMs: 2_000,
      sourceSeconds: 3600,
      behindBytes: 4096,
    },
    { kind: 'load-started', group, table: 'shop.orders', rowsEstimate: 200, rowsDone: 0 },
    {
      kind: 'chunk-appended',
      group,
      table: 'shop.orders',
      rows: 50,
      dropped: 0,
      rowsDone: 50,
      rowsEstimate: 200,
      etaSeconds: 3,
    },
  )
  assertLine(lines, 'millrace_lag_seconds{pipeline="orders",target="primary"} 1.5')
  assertLine(lines, 'millrace_log_consumer_lag_records{pipeline="orders",target="primary"} 7')
  assertLine(lines, 'millrace_source_binlog_retention_remaining_seconds{source="main"} 3600')
  assertLine(lines, 'millrace_source_binlog_behind_bytes{source="main"} 4096')
  assertLine(lines, 'millrace_task_progress_ratio{pipeline="orders",target="primary"} 0.25')
})

test('a retention that is not known any more is not shown', async () => {
  const known: Fact = {
    kind: 'retention',
    source: 'main',
    bytes: 1,
    bytesMax: 2,
    oldestAppendedAtMs: undefined,
    sourceSeconds: 5,
    behindBytes: 9,
  }
  const lines = await metricsAfter(known, { ...known, sourceSeconds: undefined, behindBytes: undefined })
  assert.ok(!lines.some((line) => line.startsWith('millrace_source_binlog_retention_remaining_seconds{')))
  assert.ok(!lines.some((line) => line.startsWith('millrace_source_binlog_behind_bytes{')))
})

test('each server of a source has one state', async () => {
  const server = { address: 'db1:3306', role: 'primary', detail: null } as const
  const lines = await metricsAfter(
    { kind: 'source-servers', source: 'main', servers: [{ ...server, state: 'reading' }] },
    { kind: 'source-servers', source: 'main', servers: [{ ...server, state: 'away' }] },
  )
  assertLine(lines, 'millrace_source_server_state{source="main",server="db1:3306",state="away"} 1')
  assertLine(lines, 'millrace_source_server_state{source="main",server="db1:3306",state="reading"} 0')
})

test('reasons of dead letters are bounded in number', async () => {
  const letters = Array.from({ length: 30 }, (_, index): Fact => {
    return { kind: 'dead-letter', group, id: `${index}`, reason: 'r', fingerprint: `kind ${index}` }
  })
  const lines = await metricsAfter(...letters, { kind: 'dead-letters', group, open: 30 })
  assert.equal(lines.filter((line) => line.startsWith('millrace_dead_letters_written_total{')).length, 21)
  assertLine(
    lines,
    'millrace_dead_letters_written_total{pipeline="orders",target="primary",reason="other"} 10',
  )
  assertLine(lines, 'millrace_dead_letters{pipeline="orders",target="primary"} 30')
})

test('a canary is timed when a search finds it, and missing until then', async () => {
  const missing: Fact = { kind: 'canary', group, isFound: false, seconds: 31, failure: undefined }
  const label = '{pipeline="orders",target="primary"}'
  assertLine(await metricsAfter(missing), `millrace_canary_missing${label} 1`)
  const lines = await metricsAfter(missing, { ...missing, isFound: true, seconds: 40 })
  assertLine(lines, `millrace_canary_missing${label} 0`)
  assertLine(lines, `millrace_searchable_seconds_sum${label} 40`)
  assertLine(lines, `millrace_searchable_seconds_count${label} 1`)
})

test('what documents are made from: requests to upstreams and their time, what needed none, and work for other tables', async () => {
  const lines = await metricsAfter(
    { kind: 'upstream-asked', upstream: 'weather', questions: 10, tookMs: 40, failure: undefined },
    {
      kind: 'upstream-asked',
      upstream: 'weather',
      questions: 1,
      tookMs: 40,
      failure: new Failure('overload', 'no'),
    },
    { kind: 'upstream-spared', upstream: 'weather', cached: 7, shared: 2 },
    { kind: 'upstream-state', upstream: 'weather', failure: new Failure('overload', 'no') },
    { kind: 'derived', pipeline: 'orders', changes: 5, roots: 3 },
    { kind: 'fanned-out', pipeline: 'orders', roots: 1000, waiting: 2 },
  )
  assertLine(lines, 'millrace_upstream_requests_total{upstream="weather",result="ok"} 1')
  assertLine(lines, 'millrace_upstream_requests_total{upstream="weather",result="overload"} 1')
  assertLine(lines, 'millrace_upstream_request_duration_seconds_count{upstream="weather"} 2')
  assertLine(lines, 'millrace_upstream_questions_total{upstream="weather"} 11')
  assertLine(lines, 'millrace_upstream_spared_questions_total{upstream="weather",by="cache"} 7')
  assertLine(lines, 'millrace_upstream_spared_questions_total{upstream="weather",by="shared"} 2')
  assertLine(lines, 'millrace_upstream_left_alone{upstream="weather"} 1')
  assertLine(lines, 'millrace_derived_changes_total{pipeline="orders"} 5')
  assertLine(lines, 'millrace_derived_documents_total{pipeline="orders",way="at-once"} 3')
  assertLine(lines, 'millrace_derived_documents_total{pipeline="orders",way="fan-out"} 1000')
  assertLine(lines, 'millrace_derived_fan_outs_waiting{pipeline="orders"} 2')
})
