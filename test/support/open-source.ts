/** A MySQL source in a test: opened as the user of capture, with every wait bounded. */
import assert from 'node:assert/strict'
import type { Change, Key, Position } from '../../src/change/change.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { ChunkRequest, Source, SourceAdmin } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'

/** Reads the tables `t`, or those named, of one schema. */
export async function openSource(
  server: SqlServer,
  schema: string,
  tables: readonly string[] = ['t'],
  excluded: Readonly<Record<string, readonly string[]>> = {},
): Promise<Source & SourceAdmin & AsyncDisposable> {
  const settings = { name: 'values', url: server.cdcUrl, excluded }
  const source = createMysqlSource(
    settings,
    tables.map((table) => `${schema}.${table}`),
  )
  return Object.assign(source, { [Symbol.asyncDispose]: async () => await source.close() })
}

/** The first changes after a position. */
export async function changesAfter(
  source: Source,
  from: Position,
  count: number,
): Promise<readonly Change[]> {
  const end = new AbortController()
  const changes: Change[] = []
  for await (const batch of source.read(from, AbortSignal.any([end.signal, alive()]))) {
    for (const records of batch.records) changes.push(...records)
    if (changes.length >= count) end.abort()
  }
  assert.equal(changes.length, count)
  return changes
}

/** A page that includes all that the server has now. */
export async function requestOf(
  source: Source,
  table: string,
  after: Key | undefined,
  rowsMax: number,
): Promise<ChunkRequest> {
  return { table, after, rowsMax, bytesMax: 1e9, includes: await source.head() }
}

/** Bounds every wait. */
export function alive(): AbortSignal {
  return AbortSignal.timeout(180_000)
}
