/**
 * Rows as @vlasky/zongji decodes them: another author's reader of the binlog, against which ours is compared. What it is
 * known to decode otherwise is named in the test that uses it.
 */
import ZongJi from '@vlasky/zongji'
import type { Column } from '../../src/change/change.ts'
import type { SqlServer } from '../stack/sql-server.ts'

export type ReferenceRow = Readonly<Record<string, unknown>>

/** The first `count` rows inserted into a table after `gtids`. */
export async function insertedRows(
  server: SqlServer,
  table: readonly [schema: string, name: string],
  gtids: string,
  count: number,
): Promise<readonly ReferenceRow[]> {
  const options = { host: server.host, port: server.port, user: 'root', dateStrings: true, timezone: 'Z' }
  const reader = new ZongJi({ ...options, supportBigNumbers: true, bigNumberStrings: true })
  const [schema, name] = table
  try {
    return await new Promise((resolve, reject) => {
      const rows: ReferenceRow[] = []
      reader.on('error', reject)
      reader.on('binlog', (event) => {
        if (event.getEventName() !== 'writerows' || !('rows' in event)) return
        rows.push(...(event.rows as readonly ReferenceRow[]))
        if (rows.length >= count) resolve(rows)
      })
      reader.start({
        gtidSet: gtids,
        serverId: 4321,
        includeEvents: ['tablemap', 'writerows'],
        includeSchema: { [schema]: [name] },
      })
    })
  } finally {
    reader.stop()
  }
}

/** Whether a value of zongji's means the same as the JSON text of ours; undefined = SQL NULL. */
export function agrees(column: Column, ours: string | undefined, value: unknown): boolean {
  if (value === null || value === undefined) return ours === undefined
  if (ours === undefined) return false
  if (Buffer.isBuffer(value))
    return column.kind === 'bit'
      ? BigInt(ours) === BigInt(`0x0${value.toString('hex')}`)
      : JSON.parse(ours) === value.toString('base64')
  if (typeof value === 'number') return sameNumber(column, ours, value)
  return typeof value === 'string' && sameText(column, ours, value)
}

function sameNumber({ kind }: Column, ours: string, value: number): boolean {
  if (kind === 'float') return Math.fround(Number(ours)) === value
  return kind === 'double' ? Number(ours) === value : ours === String(value)
}

function sameText({ kind }: Column, ours: string, value: string): boolean {
  // Integers that a double cannot hold come as text.
  if (kind === 'integer') return ours === value
  const parsed: unknown = JSON.parse(ours)
  if (kind === 'datetime') return parsed === value.replace(' ', 'T')
  if (kind === 'timestamp') return parsed === `${value.replace(' ', 'T')}Z`
  return Array.isArray(parsed) ? parsed.join(',') === value : parsed === value
}
