/**
 * What a server sends a second time, because the dump was asked from before it: the PREPAREs of XA branches that are open,
 * whose rows were not given. MariaDB sends with them all that followed in their domains, which was given:
 *
 *   ... PREPARE ── given ── given ── last ── new ...        of each domain up to the last one that was read there
 *
 * One object for all who look at a dump: an answer does not depend on how often it is asked for.
 */
import { showGtid, type Flavor, type Gtid } from './gtid.ts'
import { MariadbGtidSet } from './mariadb-gtid-set.ts'
import type { OpenBranch, Place } from './position.ts'

type Coming =
  | 'new'
  /** The PREPARE of a branch that is open: its rows are needed again, and nothing else of it. */
  | 'prepare'
  | 'given'

interface Ahead {
  readonly last: Gtid
  isPassed: boolean
}

export class Resent {
  readonly #flavor: Flavor
  /** By the GTID. */
  readonly #prepares: Map<string, OpenBranch>
  /** Where the server begins before what was read last: by the domain. */
  readonly #ahead = new Map<string, Ahead>()

  constructor({ executed, open = [] }: Place) {
    this.#flavor = executed.flavor
    this.#prepares = new Map(open.map((branch) => [branch.gtid, branch]))
    if (!(executed instanceof MariadbGtidSet)) return
    const domains = new Set(open.map(({ gtid }) => gtid.split('-', 1)[0]))
    for (const last of executed.last)
      if (domains.has(last.origin)) this.#ahead.set(last.origin, { last, isPassed: false })
  }

  /** Whether all that follows is new. */
  get isOver(): boolean {
    return this.#prepares.size === 0 && this.#ahead.size === 0
  }

  /** What the transaction is that begins. */
  of(gtid: Gtid): Coming {
    if (this.isOver) return 'new'
    const isPrepare = this.#prepares.has(showGtid(gtid, this.#flavor))
    const ahead = this.#ahead.get(gtid.origin)
    if (ahead === undefined) return isPrepare ? 'prepare' : 'new'
    const { last } = ahead
    const isLast = gtid.number === last.number && gtid.server === last.server
    // Outside strict mode numbers may step back: what follows the last one is new whatever its number.
    const isNew = gtid.number > last.number || (ahead.isPassed && !isLast)
    if (isNew) this.#ahead.delete(gtid.origin)
    ahead.isPassed ||= isLast
    if (isPrepare) return 'prepare'
    return isNew ? 'new' : 'given'
  }

  /** The branch whose PREPARE that transaction is. */
  branchOf(gtid: string): string | undefined {
    return this.#prepares.get(gtid)?.branch
  }

  /** It was read again. */
  hasRead(gtid: string): void {
    this.#prepares.delete(gtid)
  }
}
