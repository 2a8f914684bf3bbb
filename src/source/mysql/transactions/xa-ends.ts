/**
 * XA branches whose COMMIT was read. MariaDB writes it to the binlog before the branch's rows become visible, and a
 * consistent snapshot does not wait for them, as it does for all other transactions. A read that must include the COMMIT
 * therefore asks the server first which branches are prepared:
 *
 *   COMMIT in the binlog ──▶ read here ──▶ given ──▶ asked for by a read
 *              └──▶ rows visible ──▶ no longer in XA RECOVER
 */
import type { GtidSet } from '../gtid/gtid.ts'

/** How long a server takes, at most, from the COMMIT in its binlog to the rows. Asked only of COMMITs that were not read. */
const commitMsMax = 5_000
/** COMMITs that are remembered; of those before, the rows are visible. */
const commitsMax = 10_000

/** One moment of a read. */
export interface Moment {
  readonly nowMs: number
  /** Since when the server is known to have all that the read must include. */
  readonly hasSinceMs: number
}

export class XaEnds {
  readonly #committed = new Set<string>()
  #executed: (() => GtidSet) | undefined
  #beganAtMs = 0

  /** The stream begins to read, on this server or on another one; `executed` is what it has read. */
  begin(executed: () => GtidSet, nowMs: number): void {
    this.#executed = executed
    this.#beganAtMs = nowMs
  }

  stop(): void {
    this.#executed = undefined
  }

  /** `branch` as `gtrid:bqual:format`, hexadecimal. */
  committed(branch: string): void {
    const [oldest] = this.#committed
    if (this.#committed.size >= commitsMax && oldest !== undefined) this.#committed.delete(oldest)
    this.#committed.add(branch)
  }

  /** Its name is in use again. */
  prepared(branch: string): void {
    this.#committed.delete(branch)
  }

  /** Of the branches that are prepared now, those whose COMMIT may be in `executed` all the same. */
  unsettled(listed: readonly string[], executed: GtidSet, { nowMs, hasSinceMs }: Moment): readonly string[] {
    const isOld = (sinceMs: number) => nowMs - sinceMs >= commitMsMax
    const hasReadAll = isOld(this.#beganAtMs) && this.#executed?.().contains(executed) === true
    return hasReadAll || isOld(hasSinceMs) ? listed.filter((branch) => this.#committed.has(branch)) : listed
  }
}
