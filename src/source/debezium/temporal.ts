/** Counts of days and of parts of seconds, as the texts that every source gives (ARCHITECTURE.md, "Values"). */

/** Days since 1970 as `2026-11-22`. */
export function dateText(days: bigint): string {
  return new Date(Number(days) * dayMs).toISOString().slice(0, 10)
}

/** Parts of seconds since 1970, of which a second has 10^digits, as `2026-11-22T10:00:00.123`. */
export function momentText(parts: bigint, digits: number): string {
  const [seconds, rest] = divided(parts, digits)
  return new Date(Number(seconds) * 1000).toISOString().slice(0, 19) + fraction(rest, digits)
}

/** Parts of seconds, as a time of day or a span: `-838:59:59.500000`. */
export function timeText(parts: bigint, digits: number): string {
  const [seconds, rest] = divided(parts < 0n ? -parts : parts, digits)
  const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n]
  const text = clock.map((part) => String(part).padStart(2, '0')).join(':')
  return `${parts < 0n ? '-' : ''}${text}${fraction(rest, digits)}`
}

/** Whole seconds, and what is above them. */
function divided(parts: bigint, digits: number): readonly [bigint, bigint] {
  const second = 10n ** BigInt(digits)
  const rest = ((parts % second) + second) % second
  return [(parts - rest) / second, rest]
}

function fraction(rest: bigint, digits: number): string {
  return digits === 0 ? '' : `.${String(rest).padStart(digits, '0')}`
}

const dayMs = 86_400_000
