/**
 * MariaDB's system-versioned tables keep rows that were deleted or changed. Their binlog shows each row that is kept as one
 * that was inserted, and some deletes as updates of a hidden column of the key: what is there now cannot be told from what was.
 */
import { Failure } from '../../../change/failure.ts'
import type { Connection } from '../server/connection.ts'
import { tableFacts } from './describe.ts'
import { quotedTable } from './names.ts'
import { wordsOf } from './sql-words.ts'

/** Throws a Failure, `unsupported`, where the table is one. */
export async function refuseVersioned(connection: Connection, table: string): Promise<void> {
  const facts = await tableFacts(connection, table)
  if (facts?.kind === 'SYSTEM VERSIONED') throw versioned(table)
}

/** Throws a Failure, `unsupported`, where the statement makes the table one. */
export function refuseVersioning(table: string, statement: string): void {
  const words = wordsOf(statement).map(({ keyword }) => keyword)
  const begins = words.some(
    (word, at) =>
      (word === 'ADD' || word === 'WITH') && words[at + 1] === 'SYSTEM' && words[at + 2] === 'VERSIONING',
  )
  if (begins) throw versioned(table)
}

function versioned(table: string): Failure {
  return new Failure(
    'unsupported',
    `${table} is system-versioned: its binlog shows rows of the past as rows that are there`,
    {
      remedy: `ALTER TABLE ${quotedTable(table)} DROP SYSTEM VERSIONING, then load the pipelines of this source anew`,
    },
  )
}
