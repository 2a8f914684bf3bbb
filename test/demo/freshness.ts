/** Commit to acknowledged by the search server, from the daemon's own histogram, over the last seconds. */

export interface Freshness {
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Sample {
  readonly at: number
  /** Upper bound in seconds: how many were at most so long. */
  readonly buckets: ReadonlyMap<number, number>
}

export class FreshnessGauge {
  readonly #samples: Sample[] = []

  /** Takes the daemon's metrics as they are now; undefined = nothing was delivered in the last seconds. */
  observe(metrics: string, at: number): Freshness | undefined {
    const now = { at, buckets: bucketsOf(metrics) }
    this.#samples.push(now)
    while ((this.#samples[1]?.at ?? Infinity) <= at - windowMs) this.#samples.shift()
    const before = this.#samples[0] ?? now
    const counts = [...now.buckets]
      .map(([bound, count]): [number, number] => [bound, count - (before.buckets.get(bound) ?? 0)])
      .toSorted(([a], [b]) => a - b)
    const all = counts.at(-1)?.[1] ?? 0
    if (all === 0) return undefined
    return { p50Ms: quantile(counts, all * 0.5) * 1000, p99Ms: quantile(counts, all * 0.99) * 1000 }
  }
}

/** Of all label sets together. */
function bucketsOf(metrics: string): ReadonlyMap<number, number> {
  const buckets = new Map<number, number>()
  for (const [, labels = '', count] of metrics.matchAll(bucketLine)) {
    const bound = /le="([^"]+)"/.exec(labels)?.[1] ?? '+Inf'
    const seconds = bound === '+Inf' ? Infinity : Number(bound)
    buckets.set(seconds, (buckets.get(seconds) ?? 0) + Number(count))
  }
  return buckets
}

/** Where the wanted one lies, taken as evenly spread within its bucket. */
function quantile(counts: readonly (readonly [number, number])[], wanted: number): number {
  let low = 0
  let below = 0
  for (const [bound, count] of counts) {
    if (count >= wanted) {
      if (bound === Infinity) return low
      return low + ((bound - low) * (wanted - below)) / Math.max(1, count - below)
    }
    low = bound
    below = count
  }
  return low
}

const bucketLine = /^millrace_end_to_end_latency_seconds_bucket\{([^}]*)\} (\d+)$/gm
const windowMs = 10_000
