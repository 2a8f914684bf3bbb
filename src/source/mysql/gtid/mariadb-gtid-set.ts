/** MariaDB's GTID positions. See gtid.ts. */
import { strict as assert } from 'node:assert'
import { notAGtidSet, type Gtid, type GtidSet } from './gtid.ts'

interface Last {
  readonly server: number
  readonly number: number
}

export class MariadbGtidSet implements GtidSet {
  readonly flavor = 'mariadb'
  readonly #domains = new Map<string, Last>()

  static parse(text: string): MariadbGtidSet {
    const set = new MariadbGtidSet()
    for (const part of text.split(',').map((piece) => piece.trim())) {
      if (part === '') continue
      const [, domain, server, number] = /^(\d{1,10})-(\d{1,10})-(\d{1,19})$/.exec(part) ?? []
      if (domain === undefined) throw notAGtidSet(text, part, 'expected domain-server-number, as 0-1-270')
      const gtid = { origin: String(Number(domain)), server: Number(server), number: Number(number) }
      if (Math.max(Number(domain), gtid.server) > 0xffffffff || !Number.isSafeInteger(gtid.number))
        throw notAGtidSet(text, part, 'a number in it is too large')
      if (set.#domains.has(gtid.origin)) throw notAGtidSet(text, part, `domain ${gtid.origin} is there twice`)
      set.add(gtid)
    }
    return set
  }

  get isEmpty(): boolean {
    return this.#domains.size === 0
  }

  /** Outside strict mode the numbers of a domain may step back; the highest one stands. */
  add(gtid: Gtid): void {
    const last = this.#domains.get(gtid.origin)
    if (last === undefined || last.number < gtid.number)
      this.#domains.set(gtid.origin, { server: gtid.server, number: gtid.number })
  }

  has(gtid: Gtid): boolean {
    return (this.#domains.get(gtid.origin)?.number ?? -1) >= gtid.number
  }

  contains(other: GtidSet): boolean {
    assert(other instanceof MariadbGtidSet, 'sets of one flavor are compared')
    for (const [domain, last] of other.#domains)
      if ((this.#domains.get(domain)?.number ?? -1) < last.number) return false
    return true
  }

  missingFrom(other: GtidSet): string {
    assert(other instanceof MariadbGtidSet, 'sets of one flavor are compared')
    const missing = new MariadbGtidSet()
    for (const [domain, last] of this.#domains)
      if ((other.#domains.get(domain)?.number ?? -1) < last.number) missing.#domains.set(domain, last)
    return missing.toString()
  }

  /** The last member of each domain. */
  get last(): readonly Gtid[] {
    return [...this.#domains].map(([origin, { server, number }]) => ({ origin, server, number }))
  }

  /**
   * This set up to the one before that member, where it is the last of its domain. The server need not have one of that
   * number: it sends what is higher.
   */
  without(gtid: Gtid): MariadbGtidSet {
    const rest = this.copy()
    const last = rest.#domains.get(gtid.origin)
    if (last?.number !== gtid.number || last.server !== gtid.server) return rest
    if (gtid.number <= 1) rest.#domains.delete(gtid.origin)
    else rest.#domains.set(gtid.origin, { server: gtid.server, number: gtid.number - 1 })
    return rest
  }

  /** This set up to the one before that member. */
  before(gtid: Gtid): MariadbGtidSet {
    const rest = this.copy()
    if (!this.has(gtid)) return rest
    if (gtid.number <= 1) rest.#domains.delete(gtid.origin)
    else rest.#domains.set(gtid.origin, { server: gtid.server, number: gtid.number - 1 })
    return rest
  }

  copy(): MariadbGtidSet {
    const copy = new MariadbGtidSet()
    for (const [domain, last] of this.#domains) copy.#domains.set(domain, last)
    return copy
  }

  toString(): string {
    return [...this.#domains]
      .toSorted(([one], [other]) => Number(one) - Number(other))
      .map(([domain, last]) => `${domain}-${last.server}-${last.number}`)
      .join(',')
  }
}
