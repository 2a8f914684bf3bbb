/** Rows of the reference table that wait in MySQL's binlog, and nothing else in it. */
import { checksumOfTable, createReferenceTable, fillReferenceTable } from '../support/reference-table.ts'
import type { Checksum } from '../support/reference-table.ts'
import type { Stack } from '../stack/stack.ts'
import { sayProgress } from './progress-line.ts'

export async function fillBacklog({ mysql }: Stack, rows: number): Promise<Checksum> {
  const connection = await mysql.connect()
  try {
    await createReferenceTable(connection)
    await connection.query('RESET BINARY LOGS AND GTIDS')
    const onProgress = sayProgress('rows in MySQL', rows)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: 1000, onProgress })
    return await checksumOfTable(connection)
  } finally {
    await connection.end()
  }
}
