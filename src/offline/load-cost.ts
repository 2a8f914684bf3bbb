/** What work asks of a database, by the difference between two looks at its counters, less what a look itself costs. */
import type { ReadCost, SourceAdmin } from '../source/source.ts'

/** Tells after each piece of work what that has cost; undefined = the source has no counters. */
export async function costMeter(
  source: Pick<SourceAdmin, 'cost'>,
): Promise<() => Promise<ReadCost | undefined>> {
  const cost = source.cost?.bind(source)
  if (cost === undefined) return () => Promise.resolve(undefined)
  const first = await cost()
  let last = await cost()
  const look = difference(last, first)
  return async () => {
    const now = await cost()
    const spent = difference(difference(now, last), look)
    last = now
    return spent
  }
}

function difference(one: ReadCost, other: ReadCost): ReadCost {
  const between = (part: keyof ReadCost): number => Math.max(0, one[part] - other[part])
  return {
    queries: between('queries'),
    rowsExamined: between('rowsExamined'),
    bytesSent: between('bytesSent'),
  }
}
