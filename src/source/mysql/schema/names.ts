/** Names of tables and columns, as the configuration and as SQL have them. */

/** Schema and table of `schema.table`; a name without a point has an empty schema, which no table is in. */
export function splitName(name: string): readonly [schema: string, table: string] {
  const point = name.indexOf('.')
  return [name.slice(0, Math.max(point, 0)), name.slice(point + 1)]
}

/** A name as SQL. */
export function quoted(name: string): string {
  return '`' + name.replaceAll('`', '``') + '`'
}

/** `schema.table` as SQL. */
export function quotedTable(name: string): string {
  return splitName(name).map(quoted).join('.')
}
