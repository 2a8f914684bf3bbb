/** Reads the reference table's rows from a server's binlog by one reader, and prints what that took: see capture.ts. */
import ZongJi from '@vlasky/zongji'
import { join } from 'node:path'
import { countOf } from '../../src/change/records.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import { Capture } from '../../src/pipeline/capture/capture.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { systemClock } from '../../src/system-clock.ts'
import { referenceTable } from '../support/reference-table.ts'

export type Reader = 'decode' | 'embeddedLog' | 'zongji'

export interface Measurement {
  readonly rows: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** In units of 1,000,000 bytes. */
  readonly peakResidentMb: number
  /** From the start of this program to the first rows. */
  readonly firstChangeMs: number
}

/** What a reader does: tells of rows as they come, and ends when `tell` answers that these were all. */
type Reading = (tell: (rows: number) => boolean) => Promise<void>

/** As the daemon has it by default. */
const batchBytesMax = 512 * 1024
const [reader, url = '', rowsText, directory = ''] = process.argv.slice(2)
const rowsMax = Number(rowsText)
const readings: Readonly<Record<Reader, Reading>> = { decode, embeddedLog, zongji }

console.log(JSON.stringify(await measure(readings[reader as Reader])))
process.exit()

async function measure(read: Reading): Promise<Measurement> {
  let [rows, firstChangeMs] = [0, 0]
  const startedAt = performance.now()
  const before = process.cpuUsage()
  await read((more) => {
    if (rows === 0) firstChangeMs = performance.now()
    rows += more
    return rows >= rowsMax
  })
  const { user, system } = process.cpuUsage(before)
  if (rows !== rowsMax) throw new Error(`${rows} rows came instead of ${rowsMax}`)
  return {
    rows,
    seconds: (performance.now() - startedAt) / 1000,
    cpuSeconds: (user + system) / 1e6,
    peakResidentMb: (process.resourceUsage().maxRSS * 1024) / 1e6,
    firstChangeMs,
  }
}

async function decode(tell: (rows: number) => boolean): Promise<void> {
  const source = createMysqlSource({ name: 'bench', url }, [referenceTable])
  const end = new AbortController()
  for await (const { records, release } of source.read(source.parse(''), end.signal)) {
    if (records.length > 0 && tell(countOf(records))) end.abort()
    release?.()
  }
}

async function embeddedLog(tell: (rows: number) => boolean): Promise<void> {
  const source = createMysqlSource({ name: 'bench', url }, [referenceTable])
  const log = await openEmbeddedLog({ directory: join(directory, 'log') })
  await log.tail()
  const producers = { 'source:bench': source.parse('') as string }
  const control = { lineage: 'bench', epoch: 1, seq: 0, lanes: 8, producers }
  await log.append({ records: [], firstSeq: 1, addressee: undefined, barriers: [], control })
  const end = new AbortController()
  const capture = new Capture({
    name: 'bench',
    source,
    log,
    clock: systemClock,
    observe: (fact) => {
      if (fact.kind === 'appended' && fact.records > 0 && tell(fact.records)) end.abort()
    },
    batchBytesMax,
    windowKeysMax: 1000,
    rereading: () => [],
  })
  await capture.run(end.signal)
  await log.close()
}

async function zongji(tell: (rows: number) => boolean): Promise<void> {
  const { hostname, port, username } = new URL(url)
  const zone = { dateStrings: true, timezone: 'Z' }
  const wide = { supportBigNumbers: true, bigNumberStrings: true }
  const [schema = '', name = ''] = referenceTable.split('.')
  const other = new ZongJi({ host: hostname, port: Number(port), user: username, ...zone, ...wide })
  let bytes = 0
  await new Promise<void>((resolve, reject) => {
    other.on('error', reject)
    other.on('binlog', (event) => {
      if (event.getEventName() !== 'writerows' || !('rows' in event)) return
      const rows = event.rows as readonly object[]
      for (const row of rows) bytes += JSON.stringify(row).length
      if (tell(rows.length)) resolve()
    })
    other.start({
      gtidSet: '',
      serverId: 4321,
      includeEvents: ['tablemap', 'writerows'],
      includeSchema: { [schema]: [name] },
    })
  })
  if (bytes === 0) throw new Error('there was nothing to write as text')
}
