/** Single-row transactions at a steady rate, each on a row of its own. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { insertOf, referenceTable } from '../support/reference-table.ts'

export interface SteadyWriter {
  readonly connections: readonly Connection[]
  /** Transactions a second. */
  readonly rate: number
  /** The number of the first transaction; the row of the same number must exist. */
  readonly first: number
  readonly transactions: number
}

export interface Committed {
  /** Of the document that the transaction changed. */
  readonly id: string
  /** When COMMIT had returned, by `performance.now()`. */
  readonly atMs: number
}

/** Of ten transactions four insert, four update and two delete. Resolves when all have committed. */
export async function writeSteadily(writer: SteadyWriter): Promise<readonly Committed[]> {
  const { connections, rate, first, transactions } = writer
  const begun = performance.now()
  const pending: Promise<Committed>[] = []
  while (pending.length < transactions) {
    const due = Math.min(transactions, Math.ceil(((performance.now() - begun) * rate) / 1000))
    while (pending.length < due) {
      const number = first + pending.length
      const connection = connections[number % connections.length]
      if (connection === undefined) throw new Error('a writer needs a connection')
      pending.push(commit(connection, number))
    }
    await delay(1)
  }
  return await Promise.all(pending)
}

/** One statement outside a transaction is a transaction: it returns when it has committed. */
async function commit(connection: Connection, number: number): Promise<Committed> {
  const { row, statement } = changeOf(number)
  await connection.query(statement)
  return { id: String(row), atMs: performance.now() }
}

function changeOf(number: number): { readonly row: number; readonly statement: string } {
  const kind = number % 10
  if (kind < 4) {
    const row = number + newRows
    return { row, statement: insertOf(row, row + 1) }
  }
  const where = `WHERE order_id = ${number}`
  if (kind < 6) return { row: number, statement: `DELETE FROM ${referenceTable} ${where}` }
  return {
    row: number,
    statement: `UPDATE ${referenceTable} SET state = 'done', score = score + 0.25 ${where}`,
  }
}

/** Rows that are inserted are numbered from here. */
const newRows = 100_000_000
