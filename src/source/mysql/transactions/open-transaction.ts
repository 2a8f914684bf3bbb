/** What is known of the transaction that is being read. */
import type { Barrier, BarrierEffect, Cascade } from '../../../change/change.ts'
import { merged } from '../schema/cascade.ts'
import type { TransactionStart } from '../binlog/gtid-event.ts'
import type { HeldBranch } from './xa.ts'

export interface OpenTransaction {
  readonly start: TransactionStart
  readonly name: string
  /** Whether it has an end of its own; a DDL statement is all of its transaction. */
  open: boolean
  /** Row events seen, those of other tables included. */
  events: number
  /** Row events that were given before, on this server. */
  readonly given: number
  /** The captured tables that had rows. */
  readonly changed: Set<string>
  /** By table; given at the end, because a table is to be read again when all of the transaction is to be seen. */
  readonly barriers: Map<string, Barrier>
  /** Within an XA branch: its changes, kept until it is known whether it commits at once. */
  held: HeldBranch | undefined
  /** The changes of a branch that it commits, as far as they were not given yet. */
  giving: HeldBranch | undefined
  /** The branch that it commits. */
  branch: string | undefined
}

/** `given`: how many of its row events were given before. On MariaDB the GTID itself begins it. */
export function openTransaction(
  start: TransactionStart,
  name: string,
  given: number,
  isMariadb: boolean,
): OpenTransaction {
  return {
    start,
    name,
    open: isMariadb && !start.standalone,
    events: 0,
    given,
    changed: new Set(),
    barriers: new Map(),
    held: undefined,
    giving: undefined,
    branch: undefined,
  }
}

/**
 * Notes that rows of a table changed unseen. Of the effect nothing is told where other statements had another one, or where
 * rows may have come before a table was emptied: those are given before the transaction's barriers, whichever came first.
 */
export function bar(
  { barriers, open }: OpenTransaction,
  barrier: Omit<Barrier, 'effect'>,
  effect: BarrierEffect | undefined,
): void {
  const known = barriers.get(barrier.table)
  const own = effect?.kind === 'emptied' && open ? undefined : effect
  const told = known === undefined ? own : mergedEffect(known.effect, own)
  const { table, statement } = known ?? barrier
  barriers.set(table, { table, statement, ...(told === undefined ? {} : { effect: told }) })
}

function mergedEffect(one: BarrierEffect | undefined, other: BarrierEffect | undefined): Cascade | undefined {
  return one?.kind === 'cascade' && other?.kind === 'cascade' ? merged(one, other) : undefined
}
