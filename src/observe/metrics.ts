/** Facts as Prometheus metrics. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { Fact, Observe, PipelineState } from '../pipeline/facts.ts'
import { documentMeters, observeDocuments } from './document-metrics.ts'
import { partsOfGroup } from './group.ts'

export interface Metrics {
  readonly observe: Observe
  /** The text that Prometheus reads. */
  readonly text: () => Promise<string>
  readonly names: () => readonly string[]
}

const pipelineStates: readonly PipelineState[] = [
  'starting',
  'loading',
  'running',
  'waiting',
  'paused',
  'stopped',
  'failed',
]

/** Reasons beyond this many share one label, so that a wild target cannot fill the registry. */
const reasonsMax = 20

export function createMetrics(version: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const meters = createMeters(registry)
  meters.build.set({ version, node: process.version }, 1)
  const memory: Memory = { reasons: new Set(), states: new Map() }
  return {
    observe(fact) {
      observeSource(meters, fact)
      observeDelivery(meters, fact)
      observeDocuments(meters.document, fact)
      observeCanary(meters, fact)
      observeState(meters, memory, fact)
      observeTrouble(meters, memory, fact)
      observeLoad(meters, fact)
    },
    text: () => registry.metrics(),
    names: () => registry.getMetricsAsArray().map(({ name }) => name),
  }
}

/** What the metrics themselves do not tell. */
interface Memory {
  readonly reasons: Set<string>
  readonly states: Map<string, PipelineState>
}

type Meters = ReturnType<typeof createMeters>

const delivery = ['pipeline', 'target'] as const
const bySource = ['source'] as const

function createMeters(registry: Registry) {
  const make = makers(registry)
  return {
    ...processMeters(make),
    ...captureMeters(make),
    ...sinkMeters(make),
    ...progressMeters(make),
    document: documentMeters(make),
  }
}

export type Make = ReturnType<typeof makers>

/** Functions that make metrics of one kind, named as all of ours. */
function makers(registry: Registry) {
  const registers = [registry]
  return {
    gauge: <L extends string>(name: string, labelNames: readonly L[], help: string) =>
      new Gauge({ name: `millrace_${name}`, help, labelNames, registers }),
    counter: <L extends string>(name: string, labelNames: readonly L[], help: string) =>
      new Counter({ name: `millrace_${name}`, help, labelNames, registers }),
    histogram: <L extends string>(name: string, labelNames: readonly L[], help: string) =>
      new Histogram({ name: `millrace_${name}`, help, labelNames, registers, buckets }),
  }
}

/** Seconds: from a quick request to half an hour behind. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]

function processMeters({ gauge, counter }: Make) {
  return {
    build: gauge('build_info', ['version', 'node'], 'Always 1; the version is a label.'),
    restarts: counter('restarts_total', ['reason'], 'Parts that were started again after a failure.'),
  }
}

function captureMeters({ gauge, counter }: Make) {
  return {
    connected: gauge('source_connected', bySource, '1 while the source is being read.'),
    lastEvent: gauge('source_last_event_timestamp_seconds', bySource, 'When the source was last heard of.'),
    lastCommit: gauge(
      'source_last_commit_timestamp_seconds',
      bySource,
      'Commit of the newest captured change.',
    ),
    events: counter('source_events_total', ['source', 'op'], 'Row changes captured.'),
    barriers: counter('source_ddl_total', bySource, 'Statements that changed rows without showing them.'),
    disconnects: counter('source_disconnects_total', ['source', 'reason'], 'Interruptions of capture.'),
    retention: gauge(
      'source_binlog_retention_remaining_seconds',
      bySource,
      'Until the source drops what is not captured.',
    ),
    behindBytes: gauge('source_binlog_behind_bytes', bySource, 'Bytes of the binlog that are not read yet.'),
    serverState: gauge(
      'source_server_state',
      ['source', 'server', 'state'],
      '1 for the state that each server of a source is in.',
    ),
    epoch: gauge('source_epoch', bySource, 'Goes up when the history of the source is another one.'),
    appended: counter('log_appended_records_total', bySource, 'Records appended to the log.'),
    appendErrors: counter('log_append_errors_total', bySource, 'Appends to the log that failed.'),
    logBytes: gauge('log_size_bytes', bySource, 'Size of the log.'),
    logCeiling: gauge('log_ceiling_bytes', bySource, 'Beyond this size the oldest part of the log goes.'),
    logOldest: gauge(
      'log_oldest_timestamp_seconds',
      bySource,
      'When the oldest record was appended to the log.',
    ),
  }
}

function sinkMeters({ gauge, counter, histogram }: Make) {
  const outcomes = [...delivery, 'action', 'result'] as const
  const reasons = [...delivery, 'reason'] as const
  return {
    documents: counter(
      'sink_documents_total',
      outcomes,
      'Documents sent, by what was asked and what came of it.',
    ),
    lookUps: counter(
      'enrich_rows_total',
      [...delivery, 'result'],
      'Rows read from the table because a change did not show them, by whether they were there.',
    ),
    cacheAway: gauge('cache_away', [], '1 while limits and answers cannot be shared with other processes.'),
    bytes: counter('sink_bytes_total', delivery, 'Bytes of documents sent.'),
    requestSeconds: histogram(
      'sink_bulk_duration_seconds',
      delivery,
      'How long the target took for a request.',
    ),
    concurrency: gauge(
      'sink_concurrency',
      ['target'],
      'Requests that may be under way at once, where fewer than the most were tried.',
    ),
    retries: counter('sink_retries_total', reasons, 'Waits for the target, by reason.'),
    deadLetters: gauge('dead_letters', delivery, 'Open dead letters.'),
    deadLettersWritten: counter('dead_letters_written_total', reasons, 'Documents put aside, by reason.'),
  }
}

function progressMeters({ gauge, counter, histogram }: Make) {
  const state = [...delivery, 'state'] as const
  return {
    pipelineState: gauge('pipeline_state', state, '1 for the state that the pipeline is in.'),
    lagSeconds: gauge(
      'lag_seconds',
      delivery,
      'Age of the oldest committed change not delivered; 0 when all are.',
    ),
    lagRecords: gauge('log_consumer_lag_records', delivery, 'Changes in the log that are not delivered.'),
    endangered: gauge('log_consumer_endangered_ratio', delivery, 'At 1 the log drops what is still needed.'),
    lost: gauge('log_consumer_lost', delivery, '1 when the log dropped what was still needed: reload.'),
    latency: histogram('end_to_end_latency_seconds', delivery, 'Commit to acknowledged; loads excluded.'),
    searchable: histogram('searchable_seconds', delivery, 'Commit to found by a search, of the canary.'),
    canaryMissing: gauge('canary_missing', delivery, '1 while no search finds the canary in time.'),
    taskRows: counter('task_rows_total', delivery, 'Rows read by loads.'),
    taskProgress: gauge(
      'task_progress_ratio',
      delivery,
      'Share of the table that a load has read, by estimate.',
    ),
    taskProgressAt: gauge('task_last_progress_timestamp_seconds', delivery, 'When the load last got on.'),
  }
}

function observeSource(meters: Meters, fact: Fact): void {
  switch (fact.kind) {
    case 'capture-started':
      meters.connected.set({ source: fact.source }, 1)
      meters.epoch.set({ source: fact.source }, fact.epoch)
      break
    case 'source-servers':
      observeServers(meters, fact)
      break
    case 'source-state':
      meters.connected.set({ source: fact.source }, fact.state === 'running' ? 1 : 0)
      if (fact.failure !== undefined)
        meters.disconnects.inc({ source: fact.source, reason: fact.failure.kind })
      break
    case 'source-alive':
      meters.connected.set({ source: fact.source }, 1)
      meters.lastEvent.set({ source: fact.source }, fact.atMs / 1000)
      break
    case 'captured':
      meters.events.inc({ source: fact.source, op: 'insert' }, fact.inserts)
      meters.events.inc({ source: fact.source, op: 'update' }, fact.updates)
      meters.events.inc({ source: fact.source, op: 'delete' }, fact.deletes)
      meters.lastCommit.set({ source: fact.source }, fact.lastCommittedAtMs / 1000)
      break
    case 'barrier':
      meters.barriers.inc({ source: fact.source })
      break
    case 'appended':
      meters.appended.inc({ source: fact.source }, fact.records)
      break
    case 'append-failed':
      meters.appendErrors.inc({ source: fact.source })
      break
    case 'retention':
      observeRetention(meters, fact)
      break
    default:
      break
  }
}

function observeRetention(meters: Meters, fact: Extract<Fact, { kind: 'retention' }>): void {
  const { source, oldestAppendedAtMs, sourceSeconds, behindBytes } = fact
  meters.logBytes.set({ source }, fact.bytes)
  meters.logCeiling.set({ source }, fact.bytesMax)
  if (oldestAppendedAtMs !== undefined) meters.logOldest.set({ source }, oldestAppendedAtMs / 1000)
  if (sourceSeconds === undefined) meters.retention.remove({ source })
  else meters.retention.set({ source }, sourceSeconds)
  if (behindBytes === undefined) meters.behindBytes.remove({ source })
  else meters.behindBytes.set({ source }, behindBytes)
}

const serverStates = ['reading', 'ready', 'behind', 'away', 'unfit'] as const

function observeServers(
  meters: Meters,
  { source, servers }: Extract<Fact, { kind: 'source-servers' }>,
): void {
  for (const { address: server, state } of servers)
    for (const each of serverStates)
      meters.serverState.set({ source, server, state: each }, each === state ? 1 : 0)
}

function observeDelivery(meters: Meters, fact: Fact): void {
  if (fact.kind === 'target-concurrency') meters.concurrency.set({ target: fact.target }, fact.requestsMax)
  if (!('group' in fact)) return
  const labels = partsOfGroup(fact.group)
  switch (fact.kind) {
    case 'looked-up':
      meters.lookUps.inc({ ...labels, result: 'found' }, fact.found)
      meters.lookUps.inc({ ...labels, result: 'gone' }, fact.keys - fact.found)
      break
    case 'written':
      observeWritten(meters, fact)
      break
    case 'lag':
      meters.lagSeconds.set(labels, fact.seconds)
      meters.lagRecords.set(labels, fact.changes)
      if (fact.changes === 0) meters.endangered.set(labels, 0)
      break
    case 'target-waiting':
      meters.retries.inc({ ...labels, reason: fact.failure.kind })
      break
    case 'dead-letters':
      meters.deadLetters.set(labels, fact.open)
      break
    case 'group-endangered':
      meters.endangered.set(labels, fact.share)
      break
    case 'group-lost':
      meters.lost.set(labels, 1)
      break
    default:
      break
  }
}

function observeCanary(meters: Meters, fact: Fact): void {
  if (fact.kind !== 'canary') return
  const labels = partsOfGroup(fact.group)
  if (fact.isFound) meters.searchable.observe(labels, fact.seconds)
  meters.canaryMissing.set(labels, fact.isFound ? 0 : 1)
}

function observeWritten(meters: Meters, fact: Extract<Fact, { kind: 'written' }>): void {
  const labels = partsOfGroup(fact.group)
  meters.documents.inc({ ...labels, action: 'index', result: 'applied' }, fact.indexed)
  meters.documents.inc({ ...labels, action: 'delete', result: 'applied' }, fact.deleted)
  meters.documents.inc({ ...labels, action: 'any', result: 'stale' }, fact.stale)
  meters.documents.inc({ ...labels, action: 'any', result: 'busy' }, fact.busy)
  meters.documents.inc({ ...labels, action: 'any', result: 'rejected' }, fact.rejected)
  meters.bytes.inc(labels, fact.bytes)
  meters.requestSeconds.observe(labels, fact.tookMs / 1000)
  for (const latencyMs of fact.latenciesMs) meters.latency.observe(labels, latencyMs / 1000)
}

function observeTrouble(meters: Meters, { reasons }: Memory, fact: Fact): void {
  if (fact.kind === 'cache-state') meters.cacheAway.set(fact.failure === undefined ? 0 : 1)
  if (fact.kind === 'restarting') meters.restarts.inc({ reason: fact.failure.kind })
  if (fact.kind !== 'dead-letter') return
  if (reasons.size < reasonsMax) reasons.add(fact.fingerprint)
  const reason = reasons.has(fact.fingerprint) ? fact.fingerprint : 'other'
  meters.deadLettersWritten.inc({ ...partsOfGroup(fact.group), reason })
}

function observeLoad(meters: Meters, fact: Fact): void {
  if (fact.kind !== 'load-started' && fact.kind !== 'chunk-appended' && fact.kind !== 'load-finished') return
  const labels = partsOfGroup(fact.group)
  meters.taskProgressAt.setToCurrentTime(labels)
  if (fact.kind === 'chunk-appended') meters.taskRows.inc(labels, fact.rows)
  if (fact.kind === 'load-finished') meters.taskProgress.set(labels, 1)
  else meters.taskProgress.set(labels, Math.min(1, fact.rowsDone / Math.max(1, fact.rowsEstimate)))
  if (fact.kind === 'load-finished') meters.lost.set(labels, 0)
}

/** A pipeline that waits for its target goes on with what it did before. */
function observeState(meters: Meters, { states }: Memory, fact: Fact): void {
  switch (fact.kind) {
    case 'pipeline-state':
      states.set(fact.group, fact.state)
      setState(meters, fact.group, fact.state)
      break
    case 'target-waiting':
      setState(meters, fact.group, 'waiting')
      break
    case 'target-ready':
      setState(meters, fact.group, states.get(fact.group) ?? 'running')
      break
    default:
      break
  }
}

function setState(meters: Meters, group: string, state: PipelineState): void {
  const labels = partsOfGroup(group)
  for (const each of pipelineStates) {
    meters.pipelineState.set({ ...labels, state: each }, each === state ? 1 : 0)
  }
}
