/**
 * Dates and times as the binlog holds them, in the text that a change event shows. Months and days of 0 stay as they
 * are: a calendar is asked only for timestamps, which are counted in seconds since 1970.
 */

/** `2024-05-31` from year * 13 + month in the upper bits and the day in the lower five. */
export function dayText(yearMonthDay: number): string {
  return openedDay(yearMonthDay).slice(1, -1)
}

/** `"2024-05-31T`: the opening of a JSON string. */
export function openedDay(yearMonthDay: number): string {
  const place = yearMonthDay & (DAYS_KEPT - 1)
  if (dayKeys[place] === yearMonthDay) return dayTexts[place] ?? ''
  const yearMonth = Math.floor(yearMonthDay / 32)
  const text = `"${dateText(Math.floor(yearMonth / 13), yearMonth % 13, yearMonthDay % 32)}T`
  dayKeys[place] = yearMonthDay
  dayTexts[place] = text
  return text
}

function dateText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, '0')}-${TWO_DIGITS[month]}-${TWO_DIGITS[day]}`
}

/** `12:34:56` from 5 bits of hours, 6 of minutes, 6 of seconds. */
export function clockText(hourMinuteSecond: number): string {
  return (MINUTES[hourMinuteSecond >> 6] ?? '') + (TWO_DIGITS[hourMinuteSecond & 63] ?? '')
}

/** `"2024-05-31T12:34:56` in UTC from seconds since 1970: the opening of a JSON string. */
export function openedSeconds(seconds: number): string {
  const day = Math.floor(seconds / 86_400)
  const place = day & (DAYS_KEPT - 1)
  let date = epochTexts[place] ?? ''
  if (epochKeys[place] !== day) {
    date = '"' + new Date(day * 86_400_000).toISOString().slice(0, 11)
    epochKeys[place] = day
    epochTexts[place] = date
  }
  const rest = seconds - day * 86_400
  const minutes = Math.floor(rest / 60)
  const hours = Math.floor(minutes / 60)
  return (
    date + (MINUTES[(hours << 6) | (minutes - hours * 60)] ?? '') + (TWO_DIGITS[rest - minutes * 60] ?? '')
  )
}

/** `.250` from the stored fraction, which counts hundredths, ten-thousandths or millionths. Empty without digits. */
export function fractionText(stored: number, digits: number): string {
  if (digits === 0) return ''
  if (digits < 3) return digits === 2 ? '.' + TWO_DIGITS[stored] : '.' + Math.floor(stored / 10)
  if (digits === 3) return '.' + THREE_DIGITS[Math.floor(stored / 10)]
  if (digits === 4) return '.' + TWO_DIGITS[Math.floor(stored / 100)] + TWO_DIGITS[stored % 100]
  const text = '.' + THREE_DIGITS[Math.floor(stored / 1000)] + THREE_DIGITS[stored % 1000]
  return digits === 5 ? text.slice(0, -1) : text
}

/** A number below 100 with two digits. */
export function twoDigits(number: number): string {
  return TWO_DIGITS[number] ?? ''
}

/** `-838:59:59.000000` from 10 bits of hours, 6 of minutes, 6 of seconds. */
export function durationText(hourMinuteSecond: number): string {
  const hours = hourMinuteSecond >> 12
  const text = hours < 100 ? TWO_DIGITS[hours] : String(hours)
  return `${text}:${TWO_DIGITS[(hourMinuteSecond >> 6) & 63]}:${TWO_DIGITS[hourMinuteSecond & 63]}`
}

/** Days once written out are kept, in a table that a later day with the same low bits takes over: 128 months. */
const DAYS_KEPT = 4096
const dayKeys = new Int32Array(DAYS_KEPT).fill(-1)
const dayTexts: string[] = Array.from({ length: DAYS_KEPT }, () => '')
const epochKeys = new Int32Array(DAYS_KEPT).fill(-1)
const epochTexts: string[] = Array.from({ length: DAYS_KEPT }, () => '')

const TWO_DIGITS: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))
const THREE_DIGITS: readonly string[] = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'))
const MINUTES: readonly string[] = Array.from(
  { length: 32 * 64 },
  (_, n) => `${TWO_DIGITS[n >> 6]}:${TWO_DIGITS[n & 63]}:`,
)
