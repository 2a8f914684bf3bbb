/** Whether a query may show a column of a table. Pure; in doubt it may. */

/** `table` as `schema.table`. */
export function mayRead(query: string, table: string, column: string): boolean {
  const text = query
    .replaceAll(/[`"]/g, '')
    .replaceAll(/\s*\.\s*/g, '.')
    .toLowerCase()
  return text.includes(table.toLowerCase()) && (text.includes(column.toLowerCase()) || isWhole.test(text))
}

/** All columns at once: SELECT *, t.*, or TABLE t in place of a SELECT. */
const isWhole = /(?:\bselect(?:\s+\w+)*|[,.])\s*\*|\btable\b/
