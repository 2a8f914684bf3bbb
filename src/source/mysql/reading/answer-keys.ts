/**
 * Which row answers which question, where a collation may take texts for equal that are spelled differently. Questions that
 * some collation may take for equal are asked in different rounds: so what comes back and looks alike is one's own.
 *
 *   asked "fr", "FR", "de"   →   rounds "fr" "de"  and  "FR"        row "Fr" of the first round answers "fr"
 */

/** The questions by their keys, JSON texts, in rounds; each key once. */
export function rounds(keys: readonly string[]): readonly (readonly string[])[] {
  const made: string[][] = []
  const asked = new Map<string, number>()
  for (const key of new Set(keys)) {
    const round = asked.get(folded(key)) ?? 0
    asked.set(folded(key), round + 1)
    ;(made[round] ??= []).push(key)
  }
  return made
}

/** The rows of a round by the key that they answer; undefined = one of them answers none that was asked. */
export function attributed<Row extends { readonly key: string }>(
  asked: readonly string[],
  rows: readonly Row[],
): ReadonlyMap<string, readonly Row[]> | undefined {
  const alike = new Map(asked.map((key) => [folded(key), key]))
  const byKey = new Map<string, Row[]>()
  for (const row of rows) {
    const key = alike.get(folded(row.key))
    if (key === undefined) return undefined
    byKey.set(key, [...(byKey.get(key) ?? []), row])
  }
  return byKey
}

/** Without what collations overlook: case, accents, blanks at the end, and whether a number is written as a text. */
function folded(key: string): string {
  const text = key.startsWith('"') ? String(JSON.parse(key)) : key
  return text
    .normalize('NFKD')
    .replaceAll(/\p{Mark}/gu, '')
    .toLowerCase()
    .trimEnd()
}
