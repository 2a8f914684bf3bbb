/** The name of an index, or the pattern of the names of several: one for each period of a date. */

export interface IndexFamily {
  readonly column: string
  /** Before the period in the names of the indexes. */
  readonly prefix: string
  /** YYYY, MM and DD stand for digits. */
  readonly format: string
  /** So many periods are kept; undefined = all. */
  readonly keep: number | undefined
}

/** `visits-{created_at:YYYY_MM}` is the alias `visits` over an index for each month; any other name is itself. */
export function familyOf(
  name: string,
  keep: number | undefined,
  complain: (found: string) => void,
): { readonly index: string; readonly family: IndexFamily | undefined } {
  const [, prefix, column, format] = /^([^{}]*)\{([^{}:]+):([^{}]*)\}$/.exec(name) ?? []
  if (prefix === undefined || column === undefined || format === undefined) {
    if (/[{}]/.test(name)) complain(`"${name}" is no pattern`)
    if (keep !== undefined) complain('`keep` is given, but there is no index for each period')
    return { index: name, family: undefined }
  }
  const index = prefix.replace(/[-_.]+$/, '')
  if (index === prefix) complain(`"${name}": before the period comes a name and one of - _ .`)
  if (!/^YYYY(([-_.]?)MM(\2DD)?)?$/.test(format))
    complain(`"${format}" is no period: YYYY, YYYY_MM, YYYY_MM_DD`)
  return { index, family: { column, prefix, format, keep } }
}
