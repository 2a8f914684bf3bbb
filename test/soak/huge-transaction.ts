/** One transaction of very many rows passes through the daemon in bounded memory, and all of it arrives. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DaemonProcess } from '../support/daemon-process.ts'
import {
  checksumOfIndex,
  checksumOfTable,
  createReferenceTable,
  fillReferenceTable,
  referenceIndex,
  referencePipeline,
} from '../support/reference-table.ts'
import { SearchIndex } from '../support/search-index.ts'
import type { Stack } from '../stack/stack.ts'

export interface HugeTransaction {
  readonly rows: number
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
  { rows, peakResidentMbMax, say }: HugeTransaction,
): Promise<HugeTransactionResult> {
  const connection = await stack.mysql.connect()
  try {
    await createReferenceTable(connection)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'huge-transaction'),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { orders: referencePipeline('load', '5s') },
    })
    await daemon.until('running', ({ pipelines }) => pipelines.every(({ state }) => state === 'running'))
    say(`one transaction of ${rows} rows`)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: rows })
    const committedAt = performance.now()
    say('committed; waiting for the index')
    const index = new SearchIndex(stack.elasticsearch.url, referenceIndex)
    await daemon.until(
      'every row is written and none is on its way',
      ({ pipelines }) => pipelines.every((each) => (each.indexed ?? 0) >= rows && each.lagChanges === 0),
      untilWrittenMs,
    )
    const seconds = (performance.now() - committedAt) / 1000
    await index.refresh()
    const { peakResidentMb, cpuSeconds } = daemon.usage()
    say(`${rows} documents after ${seconds.toFixed(1)} s, ${peakResidentMb.toFixed(0)} MB at most; comparing`)
    const table = await checksumOfTable(connection)
    const found = await checksumOfIndex(index)
    assert.equal(table.count, rows, 'the transaction has its rows')
    assert.deepEqual(found, table, 'the index equals the table')
    assert(
      peakResidentMb < peakResidentMbMax,
      `the daemon took ${peakResidentMb.toFixed(0)} MB, more than ${peakResidentMbMax} MB`,
    )
    const { code } = await daemon.stop()
    assert.equal(code, 0, 'the daemon drains and ends in order')
    return { documents: found.count, peakResidentMb, cpuSeconds, seconds }
  } finally {
    await connection.end()
  }
}

const untilWrittenMs = 900_000
