/** What a session has asked of its server so far, by the server's own counters. */
import type { ReadCost } from '../../source.ts'
import { query, type Connection } from './connection.ts'

export async function readCost(connection: Connection): Promise<ReadCost> {
  const rows = await query(
    connection,
    "SHOW SESSION STATUS WHERE Variable_name IN ('Questions', 'Bytes_sent') OR Variable_name LIKE 'Handler_read%'",
    [],
    'reading what was asked so far',
  )
  const cost = { queries: 0, rowsExamined: 0, bytesSent: 0 }
  for (const row of rows) {
    const [name, value] = Object.values(row)
    if (name === 'Questions') cost.queries += Number(value)
    else if (name === 'Bytes_sent') cost.bytesSent += Number(value)
    else cost.rowsExamined += Number(value)
  }
  return cost
}

export function addCosts(costs: readonly ReadCost[]): ReadCost {
  const sum = (part: keyof ReadCost): number => costs.reduce((total, cost) => total + cost[part], 0)
  return { queries: sum('queries'), rowsExamined: sum('rowsExamined'), bytesSent: sum('bytesSent') }
}
