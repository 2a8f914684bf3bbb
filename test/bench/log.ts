/**
 * The embedded log alone: records of about 200 bytes, appended in batches of 1000 with an fsync each, then read by a group
 * of eight lanes, which commit as lanes do: without waiting for it. Records per CPU second of this process, for one and the
 * other. `--records N` (2,000,000 by default).
 *
 *   {"bench":"log","recordBytes","appendedPerCpuSecond","appendedPerSecond","readPerCpuSecond","readPerSecond","peakResidentMb"}
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Change, Key, Table } from '../../src/change/change.ts'
import { packRecords, type Records } from '../../src/change/records.ts'
import { packRow } from '../../src/change/row.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'

const batchRecords = 1000
const lanes = 8
const table: Table = {
  name: 'shop.orders',
  columns: [
    { name: 'id', kind: 'integer', type: 'bigint', nullable: false },
    { name: 'customer', kind: 'string', type: 'varchar(100)', nullable: false },
    { name: 'address', kind: 'string', type: 'varchar(100)', nullable: false },
    { name: 'total', kind: 'decimal', type: 'decimal(10,2)', nullable: false },
  ],
  key: [0],
}

const { values } = parseArgs({ options: { records: { type: 'string', default: '2000000' } } })
const batches = Math.ceil(Number(values.records) / batchRecords)
const directory = await mkdtemp(join(tmpdir(), 'millrace-log-'))
try {
  // The same rows are appended again and again, so that making them costs nothing.
  const rows = someRows()
  const appended = await measured(() => appendAll(rows))
  const read = await measured(readAll)
  const figures = {
    bench: 'log',
    recordBytes: rows.bytes.length / batchRecords,
    appendedPerCpuSecond: perSecond(appended.cpuSeconds),
    appendedPerSecond: perSecond(appended.seconds),
    readPerCpuSecond: perSecond(read.cpuSeconds),
    readPerSecond: perSecond(read.seconds),
    peakResidentMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }
  console.log(JSON.stringify(figures))
} finally {
  await rm(directory, { recursive: true })
}

async function appendAll(rows: Records): Promise<void> {
  const log = await openEmbeddedLog({ directory })
  await log.tail()
  await log.define({ name: 'orders@main', tables: [table.name], at: 0, attributes: {} })
  for (let batch = 0; batch < batches; batch++) {
    const firstSeq = batch * batchRecords + 1
    const seq = firstSeq + batchRecords - 1
    const control = { lineage: 'bench', epoch: 1, seq, lanes, producers: { 'source:main': String(seq) } }
    await log.append({ records: [rows], firstSeq, addressee: undefined, barriers: [], control })
  }
  await log.close()
}

async function readAll(): Promise<void> {
  const log = await openEmbeddedLog({ directory })
  const done = new AbortController()
  const commits: Promise<void>[] = []
  let read = 0
  for await (const batch of log.read('orders@main', done.signal)) {
    read += batch.entries.length
    commits.push(log.commit('orders@main', batch.lane, batch.next))
    if (read === batches * batchRecords) done.abort()
  }
  assert.equal(read, batches * batchRecords)
  await Promise.all(commits)
  await log.close()
}

async function measured(work: () => Promise<void>): Promise<{ cpuSeconds: number; seconds: number }> {
  const startedMs = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { cpuSeconds: (user + system) / 1e6, seconds: (performance.now() - startedMs) / 1000 }
}

function perSecond(seconds: number): number {
  return Math.round((batches * batchRecords) / seconds)
}

function someRows(): Records {
  return packRecords(
    Array.from({ length: batchRecords }, (_, row): Change => {
      const id = 1e6 + row
      const after = packRow([String(id), `"${'customer '.repeat(9)}"`, `"${'street 7 '.repeat(8)}"`, '12.50'])
      const committedAtMs = 1_767_225_600_000
      return { table, committedAtMs, op: 'insert', key: `[${id}]` as Key, before: undefined, after }
    }),
  )
}
