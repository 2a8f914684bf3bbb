/** Numbers and durations as people read them. */

/** 1234567 as `1,234,567`. */
export function showCount(count: number): string {
  return Math.round(count)
    .toString()
    .replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',')
}

/** `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function showDuration(seconds: number): string {
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`
  const whole = Math.round(seconds)
  for (const [unit, size, smaller, part] of units) {
    if (whole < size) continue
    const rest = Math.floor((whole % size) / part)
    return rest === 0
      ? `${Math.floor(whole / size)} ${unit}`
      : `${Math.floor(whole / size)} ${unit} ${rest} ${smaller}`
  }
  return `${whole} s`
}

const units = [
  ['d', 86_400, 'h', 3600],
  ['h', 3600, 'min', 60],
  ['min', 60, 's', 1],
] as const

/** `812 B`, `1.5 MB`, `20 GB`; decimal. */
export function showBytes(bytes: number): string {
  let rest = bytes
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (rest < 1000)
      return `${unit === 'B' || rest >= 100 ? Math.round(rest) : Math.round(rest * 10) / 10} ${unit}`
    rest /= 1000
  }
  return `${Math.round(rest * 10) / 10} TB`
}
