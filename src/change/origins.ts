/**
 * Which transaction of the source changes come from, where somebody asks for that: said once for all changes that stand
 * one behind the other, so that a record costs nothing.
 */
export interface Origin {
  /** It holds from the record that begins at this byte of the records on. */
  readonly from: number
  /** In the source's own words; empty = none that is known. */
  readonly transaction: string
}

export const noOrigins: readonly Origin[] = []

/** The transaction of the record at this place. */
export function transactionAt(origins: readonly Origin[], place: number): string {
  let [low, high] = [0, origins.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((origins[middle]?.from ?? 0) <= place) low = middle + 1
    else high = middle
  }
  return origins[low - 1]?.transaction ?? ''
}

/** Those of the bytes from one place to before another, as if they were all. */
export function originsBetween(origins: readonly Origin[], from: number, to: number): readonly Origin[] {
  if (origins.length === 0) return noOrigins
  const first = transactionAt(origins, from)
  const within = origins.filter((each) => each.from > from && each.from < to)
  const own = within.map(({ from: place, transaction }) => ({ from: place - from, transaction }))
  return first === '' && own.length === 0 ? noOrigins : [{ from: 0, transaction: first }, ...own]
}

/** Of runs of records that stand one behind the other. */
export function joinedOrigins(
  runs: readonly { readonly bytes: Buffer; readonly origins: readonly Origin[] }[],
): readonly Origin[] {
  if (runs.every(({ origins }) => origins.length === 0)) return noOrigins
  const all: Origin[] = []
  let begin = 0
  for (const { bytes, origins } of runs) {
    if (origins[0]?.from !== 0) all.push({ from: begin, transaction: '' })
    for (const { from, transaction } of origins) all.push({ from: begin + from, transaction })
    begin += bytes.length
  }
  return all
}
