/** Asks all around how things are, a few times a second, and puts it into words. */
import { setTimeout as delay } from 'node:timers/promises'
import type { PipelineStatus } from '../../src/control/operations.ts'
import type { DaemonProcess } from '../support/daemon-process.ts'
import type { SearchIndex } from '../support/search-index.ts'
import { FreshnessGauge, type Freshness } from './freshness.ts'
import type { LiveWriter } from './live-writer.ts'
import type { Screen, View } from './screen.ts'

export interface Observed {
  readonly daemon: DaemonProcess
  readonly index: SearchIndex
  readonly writer: LiveWriter
  readonly screen: Screen
  /** A line that a person can type to search. */
  readonly searchCommand: string
}

/** Shows how things are until the signal aborts. Throws when the daemon ends or fails meanwhile. */
export async function observe(observed: Observed, signal: AbortSignal): Promise<void> {
  const { daemon, index, writer, screen } = observed
  const gauge = new FreshnessGauge()
  let before = { at: performance.now(), changes: writer.changes }
  while (!signal.aborted) {
    const pipeline = await daemon.pipeline(index.name)
    if (pipeline.state === 'failed' || pipeline.state === 'stopped') {
      throw new Error(`the pipeline ${pipeline.state}: ${pipeline.error ?? 'it did not say why'}`)
    }
    const now = { at: performance.now(), changes: writer.changes }
    const seen: Seen = {
      pipeline,
      documents: (await index.countIfServing()) ?? 0,
      rows: writer.rows,
      changes: now.changes,
      changesPerSecond: ((now.changes - before.changes) * 1000) / (now.at - before.at),
      freshness: gauge.observe(await daemon.metrics(), now.at),
      searchCommand: observed.searchCommand,
    }
    screen.show(viewOf(seen))
    before = now
    await delay(intervalMs, undefined, { signal }).catch(() => {})
  }
}

interface Seen {
  readonly pipeline: PipelineStatus
  readonly documents: number
  readonly rows: number
  readonly changes: number
  readonly changesPerSecond: number
  readonly freshness: Freshness | undefined
  readonly searchCommand: string
}

function viewOf(seen: Seen): View {
  const { pipeline, documents, rows, changes, changesPerSecond, freshness, searchCommand } = seen
  const counts = `${rows} rows in MySQL, ${documents} documents that a search finds`
  const rate = `${changesPerSecond.toFixed(0)} changes/s, ${changes} so far, ${pipeline.lagChanges} on their way`
  const fresh = freshness === undefined ? 'nothing measured yet' : freshnessText(freshness)
  const progress = progressOf(pipeline)
  return {
    lines: [
      ['state', pipeline.error === null ? progress : `${progress}: ${pipeline.error}`],
      ['cities', counts],
      ['changes', rate],
      ['freshness', `${fresh} (commit to acknowledged, last 10 s, by the daemon's histogram)`],
      ['search', searchCommand],
      ['', 'Ctrl-C stops everything'],
    ],
    plain: `${progress}; ${counts}; ${rate}; freshness ${fresh}`,
  }
}

function progressOf({ state, load }: PipelineStatus): string {
  if (load === null || load.state === 'done') return state
  if (load.state === 'delivering') return `loading: all rows read, being delivered`
  const percent = load.rowsEstimate === 0 ? 0 : Math.min(100, (load.rowsDone * 100) / load.rowsEstimate)
  const eta = load.etaSeconds === null ? '' : `, ${Math.ceil(load.etaSeconds)} s to go`
  return `loading: ${load.rowsDone} of about ${load.rowsEstimate} rows (${percent.toFixed(0)}%${eta})`
}

function freshnessText({ p50Ms, p99Ms }: Freshness): string {
  return `p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms`
}

const intervalMs = 500
