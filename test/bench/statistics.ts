/** The middle of some figures, and the figure below which a share of them lies. */

/** Of an even number of figures the mean of the two in the middle. Throws where there is none. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1]
  const high = sorted[Math.floor(middle)]
  if (low === undefined || high === undefined) throw new Error('no figure has no median')
  return (low + high) / 2
}

/** By the nearest rank: `percentile(figures, 99)`. Throws where there is no figure. */
export function percentile(figures: readonly number[], percent: number): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const found = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
  if (found === undefined) throw new Error('no figure has no percentile')
  return found
}

export function rounded(figure: number, digits: number): number {
  return Number(figure.toFixed(digits))
}
