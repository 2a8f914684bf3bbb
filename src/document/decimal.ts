/** Numbers as text, compared exactly however long they are. Pure. */

/** Digits, perhaps with a sign, a fraction and an exponent. */
export function isDecimal(text: string): boolean {
  return decimalForm.test(text)
}

/** Below, at or above zero as `a` is less than, equal to or greater than `b`. Both must be decimals. */
export function compareDecimals(a: string, b: string): number {
  if (a === b) return 0
  // So few digits are exact in a double.
  if (a.length < 16 && b.length < 16) return Math.sign(Number(a) - Number(b))
  const [left, right] = [parse(a), parse(b)]
  const scale = Math.min(left.exponent, right.exponent)
  const difference = scaled(left, scale) - scaled(right, scale)
  if (difference === 0n) return 0
  return difference < 0n ? -1 : 1
}

const decimalForm = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/

interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

function parse(text: string): Decimal {
  const [, sign, whole, fraction = '', exponent = '0'] = decimalForm.exec(text) ?? []
  if (whole === undefined) throw new Error(`${JSON.stringify(text)} is not a decimal`)
  const digits = BigInt(whole + fraction)
  return { digits: sign === '-' ? -digits : digits, exponent: Number(exponent) - fraction.length }
}

function scaled({ digits, exponent }: Decimal, scale: number): bigint {
  return digits * 10n ** BigInt(exponent - scale)
}
