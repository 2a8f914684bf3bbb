/**
 * Whether a query may show a column of a table. Pure; in doubt it may.
 *
 * It looks for the names anywhere in the text, in comments and strings too: whatever a server makes of comments (some are
 * statements to it) and of its own syntax, it cannot read a column whose name, or a sign for all columns, is not there.
 */

/** `table` as `schema.table`. */
export function mayRead(query: string, table: string, column: string): boolean {
  const text = plain(query)
  const point = table.indexOf('.')
  const names = [table.slice(0, point), table.slice(point + 1)].map(plain)
  return names.every((name) => text.includes(name)) && (text.includes(plain(column)) || showsAll.test(text))
}

/** Without quotes, of which a name may have more or fewer, and in one case. */
function plain(text: string): string {
  return text.replaceAll(/[`"]/g, '').toLowerCase()
}

/**
 * SELECT *, t.*, TABLE t. Where a comment stands before the asterisk nobody looks at what is before that. All other
 * asterisks multiply or count.
 */
const showsAll =
  /(?:\b(?:select|all|distinct|distinctrow|high_priority|straight_join|sql_\w+)|[,.]|\*\/|(?:#|--)[^\n]*\n)\s*\*|\btable\b/
