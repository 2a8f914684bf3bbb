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

/** The JSON text that a value of zongji stands for; undefined = SQL NULL. */
export function referenceText(column: Column, value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  const plain = String(value)
  switch (column.kind) {
    case 'integer':
    case 'year':
      return plain
    case 'float':
      return String(Math.fround(Number(value)))
    case 'double':
      return String(Number(value))
    case 'bit':
      return Buffer.isBuffer(value) ? String(BigInt(`0x0${value.toString('hex')}`)) : plain
    case 'binary':
    case 'blob':
      return JSON.stringify(Buffer.isBuffer(value) ? value.toString('base64') : Buffer.from(plain, 'latin1').toString('base64'))
    case 'datetime':
      return JSON.stringify(plain.replace(' ', 'T'))
    case 'timestamp':
      return JSON.stringify(`${plain.replace(' ', 'T')}Z`)
    case 'set':
      return JSON.stringify(Array.isArray(value) ? value : plain === '' ? [] : plain.split(','))
    default:
      return JSON.stringify(plain)
  }
}
