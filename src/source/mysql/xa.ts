/**
 * XA: a branch's rows are in the binlog when it is prepared, and its COMMIT or ROLLBACK follows later, in a transaction of
 * its own. Branches without captured rows pass; one with captured rows passes only when it commits in the same step.
 */
import { Failure } from '../../change/failure.ts'
import { RecordsBuilder } from '../../change/records.ts'

/** How many bytes of a branch are kept until it is known what becomes of them. */
const heldBytesMax = 64 * 1024 * 1024
/** How many prepared branches without captured rows are remembered. */
const branchesMax = 10_000

const remedy =
  'let applications commit in one phase (or without XA), then load the pipelines of this source anew'

/** The changes of a branch of which is not known yet whether it commits at once. */
export class HeldChanges {
  readonly builder = new RecordsBuilder()
  readonly #mayCommitAtOnce: boolean

  constructor(mayCommitAtOnce: boolean) {
    this.#mayCommitAtOnce = mayCommitAtOnce
  }

  /** Changes of this table were added; throws a Failure when they cannot be kept. */
  check(table: string): void {
    if (!this.#mayCommitAtOnce) throw preparedWith(table)
    if (this.builder.at > heldBytesMax)
      throw new Failure('unsupported', `an XA transaction with more than ${heldBytesMax} bytes of changes`, {
        remedy,
      })
  }
}

export class XaBranches {
  readonly #idle = new Set<string>()

  /** A branch that changed no captured table was prepared. */
  prepared(branch: string): void {
    if (this.#idle.size >= branchesMax) this.#idle.clear()
    this.#idle.add(branch)
  }

  /** A branch ended; whether it is known that it changed no captured table. */
  ended(branch: string): boolean {
    return this.#idle.delete(branch)
  }
}

export function preparedWith(table: string): Failure {
  return new Failure('unsupported', `an XA transaction that was prepared with rows of ${table}`, { remedy })
}
