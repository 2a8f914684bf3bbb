/** Names in the cluster, all below one prefix. */

export interface Names {
  readonly control: string
  readonly work: string
  readonly deadLetters: string
  readonly transactionalId: string
  readonly table: (table: string) => string
  /** The consumer group of a group of ours. */
  readonly group: (group: string) => string
}

/** `{source}` in the prefix stands for the name of the source. */
export function namesOf(prefixPattern: string, source: string): Names {
  const prefix = prefixPattern.replaceAll('{source}', source)
  return {
    control: `${prefix}.control.${source}`,
    work: `${prefix}.work.${source}`,
    deadLetters: `${prefix}.dead-letters.${source}`,
    transactionalId: `${prefix}.${source}`,
    table: (table) => `${prefix}.${legal(table)}`,
    group: (group) => `${prefix}.${group}`,
  }
}

/** Topics may hold letters, digits, points, lines and underscores; what else a table's name has stands in hexadecimal. */
function legal(table: string): string {
  return table.replaceAll(
    /[^A-Za-z0-9._-]/gu,
    (sign) => `_${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}_`,
  )
}
