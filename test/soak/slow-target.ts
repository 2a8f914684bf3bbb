/** A target that is slower than the source for gigabytes: capture goes on, memory is bounded, and all arrives. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { hasCaptured } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { HoldingProxy } from '../support/holding-proxy.ts'
import { SearchIndex } from '../support/search-index.ts'
import {
  assertWideEqual,
  createWideTable,
  fillWideTable,
  wideIndex,
  widePipeline,
  wideRowBytes,
} from '../support/wide-table.ts'
import type { Stack } from '../stack/stack.ts'

export interface SlowTarget {
  /** In units of 1,000,000 bytes, of the rows' content. */
  readonly megabytes: number
  /** In units of 1,000,000 bytes. */
  readonly peakResidentMbMax: number
  readonly say: (text: string) => void
}

export interface SlowTargetResult {
  readonly documents: number
  /** Rows that were captured and not delivered yet when all was captured. */
  readonly backlogRows: number
  readonly peakResidentMb: number
  readonly cpuSeconds: number
  readonly seconds: number
}

/** Each request to the target takes so much longer at first. */
const pauseMs = 3_000
const untilDoneMs = 3_600_000

/** Throws where something is dropped, where the server gave the dump up, or where the daemon took more memory. */
export async function fillBehindSlowTarget(
  stack: Stack,
  { megabytes, peakResidentMbMax, say }: SlowTarget,
): Promise<SlowTargetResult> {
  const rows = Math.ceil((megabytes * 1_000_000) / wideRowBytes)
  const connection = await stack.mysql.connect()
  try {
    await createWideTable(connection, 'text')
    await using proxy = await HoldingProxy.start(stack.elasticsearch.url)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'slow-target'),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: proxy.url,
      pipelines: { wide: widePipeline('text') },
    })
    await daemon.until('running', ({ pipelines }) => pipelines.every(({ state }) => state === 'running'))
    const dumps = await dumpsOf(connection)
    proxy.pauseMs = pauseMs
    const startedAt = performance.now()
    say(`${megabytes} MB in ${rows} rows; the target takes ${pauseMs} ms more for each request`)
    await fillWideTable(connection, { content: 'text', rows, rowsPerTransaction: 1000 })
    const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@global.gtid_executed AS executed')
    const executed = String(row?.['executed']).replaceAll(/\s/g, '')
    const { pipelines } = await daemon.until(
      'everything is captured',
      (status) => hasCaptured(status, executed),
      untilDoneMs,
    )
    const backlogRows = rows - (pipelines[0]?.indexed ?? 0)
    assert(backlogRows > rows / 2, `${backlogRows} of ${rows} rows wait: the target was not slow`)
    assert.deepEqual(await dumpsOf(connection), dumps, 'the dump is the one of the beginning')
    say(`captured; ${backlogRows} rows wait, ${daemon.usage().peakResidentMb.toFixed(0)} MB at most so far`)
    proxy.pauseMs = 0
    await daemon.until(
      'every row is written and none is on its way',
      ({ pipelines: each }) =>
        each.every(({ indexed, lagChanges }) => (indexed ?? 0) >= rows && lagChanges === 0),
      untilDoneMs,
    )
    const seconds = (performance.now() - startedAt) / 1000
    const { peakResidentMb, cpuSeconds } = daemon.usage()
    assert.deepEqual(await dumpsOf(connection), dumps, 'the dump is the one of the beginning')
    say(`delivered after ${seconds.toFixed(0)} s, ${peakResidentMb.toFixed(0)} MB at most; comparing`)
    const index = new SearchIndex(stack.elasticsearch.url, wideIndex('text'))
    await index.refresh()
    await assertWideEqual(connection, index)
    assert(
      peakResidentMb < peakResidentMbMax,
      `the daemon took ${peakResidentMb.toFixed(0)} MB, more than ${peakResidentMbMax} MB`,
    )
    assert.equal((await daemon.stop()).code, 0, 'the daemon drains and ends in order')
    return { documents: rows, backlogRows, peakResidentMb, cpuSeconds, seconds }
  } finally {
    await connection.end()
  }
}

/** The connections that stream the binlog, by the server's numbers. */
async function dumpsOf(connection: Connection): Promise<readonly number[]> {
  const [rows] = await connection.query<RowDataPacket[]>('SHOW PROCESSLIST')
  return rows
    .filter((row) => String(row['Command']).startsWith('Binlog Dump'))
    .map((row) => Number(row['Id']))
}
