/** Single-row transactions at a steady rate, each on a row of its own. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { insertOf, referenceDocument, referenceTable } from '../support/reference-table.ts'

export interface SteadyWriter {
  readonly connections: readonly Connection[]
  /** Transactions a second. */
  readonly rate: number
  /** The number of the first transaction; the row of the same number must exist. */
  readonly first: number
  readonly transactions: number
  /** Told of each transaction when its COMMIT has returned; `document`: what its row is now, undefined = gone. */
  readonly onCommitted?: (id: string, document: object | undefined) => void
}

export interface Committed {
  /** Of the document that the transaction changed. */
  readonly id: string
  /** When COMMIT had returned, by `performance.now()`. */
  readonly atMs: number
}

/** Of ten transactions four insert, four update and two delete. Resolves when all have committed. */
export async function writeSteadily(writer: SteadyWriter): Promise<readonly Committed[]> {
  const { connections, rate, first, transactions, onCommitted } = writer
  const begun = performance.now()
  const pending: Promise<Committed>[] = []
  while (pending.length < transactions) {
    const due = Math.min(transactions, Math.ceil(((performance.now() - begun) * rate) / 1000))
    while (pending.length < due) {
      const number = first + pending.length
      const connection = connections[number % connections.length]
      if (connection === undefined) throw new Error('a writer needs a connection')
      pending.push(commit(connection, number, onCommitted))
    }
    await delay(1)
  }
  return await Promise.all(pending)
}

/** Resolves when each of them was seen where it was to come. Throws when one has not come for a minute. */
export async function allSeen(
  committed: readonly Committed[],
  isSeen: (id: string) => boolean,
): Promise<void> {
  const begun = performance.now()
  for (;;) {
    const missing = committed.filter(({ id }) => !isSeen(id))
    if (missing.length === 0) return
    if (performance.now() - begun > 60_000)
      throw new Error(`${missing.length} changes never came, such as that of ${missing[0]?.id}`)
    await delay(100)
  }
}

/** One statement outside a transaction is a transaction: it returns when it has committed. */
async function commit(
  connection: Connection,
  number: number,
  onCommitted: SteadyWriter['onCommitted'],
): Promise<Committed> {
  const { row, statement, document } = changeOf(number)
  await connection.query(statement)
  const committed = { id: String(row), atMs: performance.now() }
  onCommitted?.(committed.id, document)
  return committed
}

interface RowChange {
  readonly row: number
  readonly statement: string
  readonly document: object | undefined
}

function changeOf(number: number): RowChange {
  const kind = number % 10
  if (kind < 4) {
    const row = number + newRows
    return { row, statement: insertOf(row, row + 1), document: referenceDocument(row) }
  }
  const where = `WHERE order_id = ${number}`
  if (kind < 6)
    return { row: number, statement: `DELETE FROM ${referenceTable} ${where}`, document: undefined }
  return {
    row: number,
    statement: `UPDATE ${referenceTable} SET state = 'done', score = ${newScore} ${where}`,
    document: { ...referenceDocument(number), state: 'done', score: newScore },
  }
}

/** No row has it before, so that every update changes something. */
const newScore = 0.125
/** Rows that are inserted are numbered from here. */
const newRows = 100_000_000
