/** One transaction of gigabytes passes through the daemon in bounded memory, and all of it arrives. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DaemonProcess } from '../support/daemon-process.ts'
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

export interface HugeTransaction {
  /** In units of 1,000,000 bytes, of the rows' content. */
  readonly megabytes: number
  /** As one compressed event, of content that does not pack. */
  readonly isPacked: boolean
  /** In units of 1,000,000 bytes. */
  readonly peakResidentMbMax: number
  readonly say: (text: string) => void
}

export interface HugeTransactionResult {
  readonly documents: number
  readonly peakResidentMb: number
  readonly cpuSeconds: number
  /** From COMMIT to the last document. */
  readonly seconds: number
}

/** Throws where the index does not equal the table in the end, or where the daemon took more memory. */
export async function passHugeTransaction(
  stack: Stack,
  { megabytes, isPacked, peakResidentMbMax, say }: HugeTransaction,
): Promise<HugeTransactionResult> {
  const rows = Math.ceil((megabytes * 1_000_000) / wideRowBytes)
  const content = isPacked ? 'random' : 'text'
  const connection = await stack.mysql.connect()
  try {
    await createWideTable(connection, content)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, `huge-${content}`),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { wide: widePipeline(content) },
    })
    await daemon.until('running', ({ pipelines }) => pipelines.every(({ state }) => state === 'running'))
    say(`one transaction of ${megabytes} MB in ${rows} rows`)
    await connection.query(`SET SESSION binlog_transaction_compression = ${isPacked ? 'ON' : 'OFF'}`)
    await fillWideTable(connection, { content, rows, rowsPerTransaction: rows })
    const committedAt = performance.now()
    say('committed; waiting for the index')
    const index = new SearchIndex(stack.elasticsearch.url, wideIndex(content))
    await daemon.until(
      'every row is written and none is on its way',
      ({ pipelines }) => pipelines.every((each) => (each.indexed ?? 0) >= rows && each.lagChanges === 0),
      untilWrittenMs,
    )
    const seconds = (performance.now() - committedAt) / 1000
    await index.refresh()
    const { peakResidentMb, cpuSeconds } = daemon.usage()
    say(`${rows} documents after ${seconds.toFixed(1)} s, ${peakResidentMb.toFixed(0)} MB at most; comparing`)
    await assertWideEqual(connection, index)
    assert(
      peakResidentMb < peakResidentMbMax,
      `the daemon took ${peakResidentMb.toFixed(0)} MB, more than ${peakResidentMbMax} MB`,
    )
    const { code } = await daemon.stop()
    assert.equal(code, 0, 'the daemon drains and ends in order')
    return { documents: rows, peakResidentMb, cpuSeconds, seconds }
  } finally {
    await connection.end()
  }
}

const untilWrittenMs = 3_600_000
