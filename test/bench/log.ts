/**
 * The embedded log alone: rows of about 180 bytes, appended in batches of 1000 with an fsync each, then read by a group of
 * eight lanes. Records per CPU second of this process, for one and the other. `--records N` (2,000,000 by default).
 *
 *   {"bench":"log","rowBytes","appendedPerCpuSecond","appendedPerSecond","readPerCpuSecond","readPerSecond","peakResidentMb"}
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Change, Key, Row, Table } from '../../src/change/change.ts'
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
  const appended = await measured(appendAll)
  const read = await measured(readAll)
  const figures = {
    bench: 'log',
    rowBytes: rowsAt(0)[0]?.after?.length,
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

async function appendAll(): Promise<number> {
  const log = await openEmbeddedLog({ directory })
  await log.tail()
  await log.define({ name: 'orders@main', tables: [table.name], at: 0, attributes: {} })
  let generatingUs = 0
  for (let batch = 0; batch < batches; batch++) {
    const before = process.cpuUsage()
    const changes = rowsAt(batch)
    const spent = process.cpuUsage(before)
    generatingUs += spent.user + spent.system
    const firstSeq = batch * batchRecords + 1
    const seq = firstSeq + batchRecords - 1
    const control = { lineage: 'bench', epoch: 1, seq, lanes, producers: { 'source:main': String(seq) } }
    await log.append({ changes, firstSeq, addressee: undefined, barriers: [], control })
  }
  await log.close()
  return generatingUs
}

async function readAll(): Promise<number> {
  const log = await openEmbeddedLog({ directory })
  const done = new AbortController()
  let read = 0
  for await (const batch of log.read('orders@main', done.signal)) {
    read += batch.entries.length
    await log.commit('orders@main', batch.lane, batch.next)
    if (read === batches * batchRecords) done.abort()
  }
  assert.equal(read, batches * batchRecords)
  await log.close()
  return 0
}

/** The work answers how much CPU time it spent on things that are not measured. */
async function measured(work: () => Promise<number>): Promise<{ cpuSeconds: number; seconds: number }> {
  const startedMs = performance.now()
  const before = process.cpuUsage()
  const othersUs = await work()
  const { user, system } = process.cpuUsage(before)
  return { cpuSeconds: (user + system - othersUs) / 1e6, seconds: (performance.now() - startedMs) / 1000 }
}

function perSecond(seconds: number): number {
  return Math.round((batches * batchRecords) / seconds)
}

/** Rows as a decoder gives them: pieces of one text. */
function rowsAt(batch: number): Change[] {
  const rows: Row[] = []
  for (let row = 0; row < batchRecords; row++) {
    const id = batch * batchRecords + row + 1e6
    rows.push(packRow([String(id), `"${'customer '.repeat(9)}"`, `"${'street 7 '.repeat(8)}"`, '12.50']))
  }
  const text = Buffer.from(rows.join(''), 'latin1').toString('latin1')
  let at = 0
  return rows.map((row, index) => ({
    table,
    committedAtMs: 1_767_225_600_000 + batch,
    op: 'insert',
    key: `[${batch * batchRecords + index + 1e6}]` as Key,
    before: undefined,
    after: text.slice(at, (at += row.length)) as Row,
  }))
}
