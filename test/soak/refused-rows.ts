/** Rows that an index refuses, among others or alone: it takes numbers where the table takes any text. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { DaemonProcess } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import type { Stack } from '../stack/stack.ts'

export const schema = 'hostile'
export const untilDoneMs = 1_800_000

/** A table of so many rows; `hostileOneIn` 0 = none of them is refused. */
export async function fill(
  connection: Connection,
  table: string,
  { rows, hostileOneIn }: { readonly rows: number; readonly hostileOneIn: number },
): Promise<void> {
  await connection.query(
    `CREATE TABLE ${schema}.${table} (id INT PRIMARY KEY, size VARCHAR(40), note VARCHAR(200))`,
  )
  for (let from = 0; from < rows; from += rowsPerStatement) {
    const values = Array.from({ length: Math.min(rowsPerStatement, rows - from) }, (_, at) => {
      const id = from + at
      const isHostile = hostileOneIn > 0 && id % hostileOneIn === 0
      return [id, isHostile ? 'large' : String(id), `a note of about the usual size: ${id}`]
    })
    await connection.query(`INSERT INTO ${schema}.${table} VALUES ?`, [values])
  }
}

const rowsPerStatement = 5000

export async function start(
  stack: Stack,
  table: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<DaemonProcess> {
  return await DaemonProcess.start({
    directory: join(stack.directory, table),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: stack.elasticsearch.url,
    settings,
    pipelines: {
      [table]: { table: `${schema}.${table}`, target: { mappings: { size: { type: 'integer' } } } },
    },
  })
}

export async function assertCount(stack: Stack, name: string, expected: number): Promise<void> {
  const index = new SearchIndex(stack.elasticsearch.url, name)
  await index.refresh()
  assert.equal(await index.count(), expected)
}

/** `at` by `performance.now()`. */
export function secondsSince(at: number): number {
  return (performance.now() - at) / 1000
}
