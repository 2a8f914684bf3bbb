/** MySQL's GTID sets: per origin (uuid, or uuid and tag) sorted intervals that do not touch. See gtid.ts. */
import { strict as assert } from 'node:assert'
import { notAGtidSet, type Gtid, type GtidSet } from './gtid.ts'

/** `first` to `last`, both inside. */
interface Interval {
  readonly first: number
  last: number
}

const uuidForm = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const tagForm = /^[a-z_][a-z0-9_]{0,31}$/i
const intervalForm = /^(\d{1,19})(?:-(\d{1,19}))?$/

export class MysqlGtidSet implements GtidSet {
  readonly flavor = 'mysql'
  readonly #origins = new Map<string, Interval[]>()

  static parse(text: string): MysqlGtidSet {
    const set = new MysqlGtidSet()
    for (const part of text.split(',').map((piece) => piece.trim()))
      if (part !== '') set.#parsePart(text, part)
    return set
  }

  get isEmpty(): boolean {
    return this.#origins.size === 0
  }

  add(gtid: Gtid): void {
    const intervals = this.#origins.get(gtid.origin)
    const end = intervals?.at(-1)
    // Nearly always the next number: one comparison.
    if (end !== undefined && end.last === gtid.number - 1) end.last = gtid.number
    else this.#addInterval(gtid.origin, gtid.number, gtid.number)
  }

  has(gtid: Gtid): boolean {
    return holds(this.#origins.get(gtid.origin), gtid.number, gtid.number)
  }

  contains(other: GtidSet): boolean {
    assert(other instanceof MysqlGtidSet, 'sets of one flavor are compared')
    for (const [origin, intervals] of other.#origins) {
      const own = this.#origins.get(origin)
      if (intervals.some(({ first, last }) => !holds(own, first, last))) return false
    }
    return true
  }

  missingFrom(other: GtidSet): string {
    return this.subtract(other).toString()
  }

  /** The members of this set that are not in `other`. */
  subtract(other: GtidSet): MysqlGtidSet {
    assert(other instanceof MysqlGtidSet, 'sets of one flavor are compared')
    const rest = new MysqlGtidSet()
    for (const [origin, intervals] of this.#origins) {
      const left = without(intervals, other.#origins.get(origin) ?? [])
      if (left.length > 0) rest.#origins.set(origin, left)
    }
    return rest
  }

  intersect(other: GtidSet): MysqlGtidSet {
    return this.subtract(this.subtract(other))
  }

  union(other: GtidSet): MysqlGtidSet {
    assert(other instanceof MysqlGtidSet, 'sets of one flavor are joined')
    const whole = this.copy()
    for (const [origin, intervals] of other.#origins)
      for (const { first, last } of intervals) whole.#addInterval(origin, first, last)
    return whole
  }

  /** This set and not that member. */
  without({ origin, number }: Gtid): MysqlGtidSet {
    const one = new MysqlGtidSet()
    one.#addInterval(origin, number, number)
    return this.subtract(one)
  }

  /** How many members it has. */
  get size(): number {
    const all = [...this.#origins.values()].flat()
    return all.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  }

  copy(): MysqlGtidSet {
    const copy = new MysqlGtidSet()
    for (const [origin, intervals] of this.#origins)
      copy.#origins.set(
        origin,
        intervals.map(({ first, last }) => ({ first, last })),
      )
    return copy
  }

  /** A uuid stands once, its intervals without a tag first, as the server writes it. */
  toString(): string {
    let text = ''
    let before = ''
    for (const origin of [...this.#origins.keys()].toSorted()) {
      const uuid = origin.slice(0, 36)
      if (uuid !== before) text += (text === '' ? '' : ',') + uuid
      before = uuid
      if (origin.length > 36) text += origin.slice(36)
      for (const { first, last } of this.#origins.get(origin) ?? [])
        text += first === last ? `:${first}` : `:${first}-${last}`
    }
    return text
  }

  /**
   * The form of COM_BINLOG_DUMP_GTID, integers little-endian: count (8 bytes), then per origin uuid (16), in the tagged
   * form the tag (its length times 2, its bytes), count of intervals (8), per interval first (8) and last + 1 (8). In the tagged form the
   * count's first and last byte are 1; servers before 8.3 know only the other one, so that it is used where it can be.
   */
  encode(): Buffer {
    const origins = [...this.#origins.keys()].toSorted()
    const tagged = origins.some((origin) => origin.length > 36)
    const head = Buffer.alloc(8)
    if (tagged) {
      head.writeUIntLE(origins.length, 1, 6)
      head[0] = head[7] = 1
    } else head.writeUIntLE(origins.length, 0, 6)
    return Buffer.concat([head, ...origins.flatMap((origin) => this.#encodeOrigin(origin, tagged))])
  }

  #encodeOrigin(origin: string, tagged: boolean): Buffer[] {
    const uuid = Buffer.from(origin.slice(0, 36).replaceAll('-', ''), 'hex')
    const tag = Buffer.from(origin.slice(37), 'latin1')
    const intervals = this.#origins.get(origin) ?? []
    const numbers = new BigUint64Array(1 + 2 * intervals.length)
    numbers[0] = BigInt(intervals.length)
    intervals.forEach(({ first, last }, at) => {
      numbers[1 + 2 * at] = BigInt(first)
      numbers[2 + 2 * at] = BigInt(last) + 1n
    })
    return [uuid, ...(tagged ? [Buffer.from([tag.length * 2]), tag] : []), Buffer.from(numbers.buffer)]
  }

  #parsePart(text: string, part: string): void {
    const [uuid = '', ...items] = part.split(':').map((item) => item.trim())
    if (!uuidForm.test(uuid))
      throw notAGtidSet(text, part, 'expected a server uuid, then :number or :first-last')
    if (items.length === 0) throw notAGtidSet(text, part, 'after the uuid, expected :number or :first-last')
    const digits = uuid.toLowerCase().replaceAll('-', '')
    let origin = formatUuid(digits)
    for (const item of items) {
      if (tagForm.test(item)) {
        origin = `${formatUuid(digits)}:${item.toLowerCase()}`
        continue
      }
      const [, start, end] = intervalForm.exec(item) ?? []
      const first = Number(start)
      const last = Number(end ?? start)
      if (!(first > 0 && last >= first && Number.isSafeInteger(last)))
        throw notAGtidSet(text, `${uuid}:${item}`, 'expected a number from 1 up, or first-last')
      this.#addInterval(origin, first, last)
    }
  }

  #addInterval(origin: string, first: number, last: number): void {
    const intervals = this.#origins.get(origin)
    if (intervals === undefined) {
      this.#origins.set(origin, [{ first, last }])
      return
    }
    const from = firstEndingAt(intervals, first - 1)
    let to = from
    let joined = { first, last }
    for (let next = intervals[to]; next !== undefined && next.first <= last + 1; next = intervals[++to])
      joined = { first: Math.min(joined.first, next.first), last: Math.max(joined.last, next.last) }
    intervals.splice(from, to - from, joined)
  }
}

/** 32 hexadecimal digits with their dashes. */
export function formatUuid(digits: string): string {
  const parts = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ]
  return parts.join('-')
}

/** The index of the first interval that ends at `number` or later. */
function firstEndingAt(intervals: readonly Interval[], number: number): number {
  let low = 0
  let high = intervals.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((intervals[middle]?.last ?? 0) < number) low = middle + 1
    else high = middle
  }
  return low
}

function holds(intervals: readonly Interval[] | undefined, first: number, last: number): boolean {
  if (intervals === undefined) return false
  const found = intervals[firstEndingAt(intervals, first)]
  return found !== undefined && found.first <= first && found.last >= last
}

function without(intervals: readonly Interval[], taken: readonly Interval[]): Interval[] {
  const left: Interval[] = []
  for (const { first, last } of intervals) {
    let from = first
    for (let at = firstEndingAt(taken, first); from <= last; at++) {
      const gap = taken[at]
      if (gap === undefined || gap.first > last) break
      if (gap.first > from) left.push({ first: from, last: gap.first - 1 })
      from = gap.last + 1
    }
    if (from <= last) left.push({ first: from, last })
  }
  return left
}
