/** A tool changes the columns of a table online, under load, and the index equals the table afterwards. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { differencesOf, type TextRow } from '../support/mirror.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

export interface SchemaChange {
  /** The path of gh-ost or of pt-online-schema-change. */
  readonly tool: string
  /** The name of a server in the stack. */
  readonly server: string
  readonly rows: number
  readonly say: (text: string) => void
}

export interface SchemaChangeResult {
  readonly tool: string
  readonly rows: number
  readonly transactions: number
  /** How often the table was read, the first time included. */
  readonly loads: number
}

/** What the tool is asked for: a column with values, one without, and one of another type. */
const change =
  "ADD COLUMN colour VARCHAR(10) NOT NULL DEFAULT 'blue', ADD COLUMN size INT, MODIFY name VARCHAR(200) NOT NULL"
const schema = 'online'
const table = `${schema}.items`

/** Throws where the tool fails, or where the index does not equal the table. */
export async function changeOnline(
  stack: Stack,
  { tool, server: name, rows, say }: SchemaChange,
): Promise<SchemaChangeResult> {
  const server = stack.servers.get(name) as SqlServer
  const connection = await server.connect()
  try {
    await createItems(connection, table, rows)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, schema),
      mysqlUrl: server.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [schema]: { table } },
    })
    await untilCaughtUp(daemon, connection, untilDoneMs)
    const connect = () => server.connect()
    await using workload = new Workload({ connect, table, seed: 3, ids: rows * 2, transactionsPerSecond: 60 })
    workload.start()
    say(`${basename(tool)} changes ${table}, ${rows} rows, under load`)
    const { stdout, stderr } = await promisify(execFile)(tool, argumentsOf(tool, server), {
      timeout: untilDoneMs,
      maxBuffer: 100_000_000,
    }).catch((error: unknown) => {
      throw new Error(`${tool} failed: ${String(error)}`, { cause: error })
    })
    say(`${stdout}${stderr}`.trim().split('\n').slice(-3).join('\n'))
    const before = workload.transactions
    await daemon.until('write on', () => workload.transactions > before + 100)
    await workload.stop()
    await untilCaughtUp(daemon, connection, untilDoneMs)
    const index = new SearchIndex(stack.elasticsearch.url, schema)
    assert.deepEqual((await differencesOf({ connection, table, index, expect })).slice(0, 10), [])
    const documents = await index.count()
    assert(documents > 0)
    for (const { deadLetters } of (await daemon.status()).pipelines) assert.equal(deadLetters, 0)
    const loads = daemon.logLines().filter(({ fact }) => fact === 'load-started').length
    assert.equal((await daemon.stop()).code, 0)
    return { tool: basename(tool), rows: documents, transactions: workload.transactions, loads }
  } finally {
    connection.destroy()
  }
}

const untilDoneMs = 900_000

function expect(row: TextRow): { readonly id: string; readonly document: TextRow } {
  const changedAt = `${row['changed_at']?.replace(' ', 'T')}Z`
  return { id: String(row['id']), document: { ...row, changed_at: changedAt } }
}

function argumentsOf(tool: string, { host, port }: SqlServer): readonly string[] {
  if (basename(tool).startsWith('gh-ost'))
    return [
      `--host=${host}`,
      `--port=${port}`,
      '--user=app',
      '--password=apppass',
      `--database=${schema}`,
      '--table=items',
      `--alter=${change}`,
      '--allow-on-master',
      '--initially-drop-ghost-table',
      '--initially-drop-old-table',
      '--chunk-size=200',
      // The stack's servers have no performance schema, where it would look.
      '--skip-metadata-lock-check',
      '--execute',
    ]
  return [
    `--alter=${change}`,
    '--execute',
    '--no-check-replication-filters',
    '--recursion-method=none',
    '--chunk-size=200',
    `h=${host},P=${port},u=app,p=apppass,D=${schema},t=items`,
  ]
}
