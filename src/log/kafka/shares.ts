/** Who gets which lanes, as evenly as can be; a member keeps of what it had as much as it may. */

export function shareOut(
  lanes: number,
  members: readonly { readonly id: string; readonly owned: string }[],
): ReadonlyMap<string, string> {
  const sorted = members.toSorted((one, other) => (one.id < other.id ? -1 : 1))
  const free = new Set(Array.from({ length: lanes }, (_, lane) => lane))
  const shares = new Map<string, number[]>()
  const most = Math.ceil(lanes / Math.max(1, sorted.length))
  for (const { id, owned } of sorted) {
    const kept: number[] = []
    for (const lane of owned === '' ? [] : owned.split(',').map(Number))
      if (kept.length < most && free.delete(lane)) kept.push(lane)
    shares.set(id, kept)
  }
  for (const lane of free) {
    const poorest = [...shares.values()].toSorted((one, other) => one.length - other.length)[0]
    poorest?.push(lane)
  }
  evenOut(shares)
  return new Map([...shares].map(([id, own]) => [id, own.join(',')]))
}

/** No member has two more than another. */
function evenOut(shares: ReadonlyMap<string, number[]>): void {
  for (;;) {
    const sorted = [...shares.values()].toSorted((one, other) => one.length - other.length)
    const [poorest, richest] = [sorted[0], sorted.at(-1)]
    if (poorest === undefined || richest === undefined || richest.length - poorest.length < 2) return
    const moved = richest.pop()
    if (moved !== undefined) poorest.push(moved)
  }
}
