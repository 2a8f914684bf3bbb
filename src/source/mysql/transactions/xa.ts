/**
 * XA: a branch's rows are in the binlog when it is prepared, and its COMMIT or ROLLBACK follows later, in a transaction of
 * its own. Until then its changes are kept: in memory, and in scratch files where they are many. They do not outlive the
 * connection: the position names the open branches, and their PREPAREs are sent again.
 *
 *   PREPARE ──▶ held ──COMMIT──▶ given, in runs, with the time of the commit
 *                 └────ROLLBACK─▶ dropped
 */
import type { Barrier } from '../../../change/change.ts'
import { Records, RecordsBuilder } from '../../../change/records.ts'
import type { OpenBranch } from '../gtid/position.ts'
import { ScratchFile } from '../binlog/scratch-file.ts'

/** How many bytes of all branches are kept in memory, about; what comes then goes to scratch files. */
const heldBytesMax = 64 * 1024 * 1024
/** How many prepared branches are remembered. */
const branchesMax = 1_000
/** The changes of a branch are kept, and given out, in runs of so many bytes; the last row event comes on top. */
const runBytes = 256 * 1024

/** Some of a branch's changes. */
interface Run {
  readonly tables: Records['tables']
  readonly count: number
  readonly length: number
  /** The bytes, or where they begin in the scratch file. */
  readonly bytes: Buffer | number
  /** How many row events of the branch end with it. */
  readonly events: number
}

/** What is shared by the branches of one reader. */
interface Room {
  /** Bytes in memory. */
  used: number
  readonly max: number
  readonly directory: string | undefined
}

/** The changes of one branch. */
export class HeldBranch {
  readonly builder = new RecordsBuilder(runBytes + 32 * 1024)
  /** Tables that are to be read again when it commits. */
  readonly barriers: Barrier[] = []
  readonly #room: Room
  readonly #runs: Run[] = []
  #next = 0
  #scratch: ScratchFile | undefined

  constructor(room: Room) {
    this.#room = room
  }

  /** So many row events are in it. Throws a Failure when a disk that is needed has no room. */
  eventEnded(events: number): void {
    if (this.builder.at >= runBytes) this.#endRun(events)
  }

  /** No more changes come; it has so many row events. */
  end(events: number, barriers: Iterable<Barrier>): void {
    this.barriers.push(...barriers)
    if (this.builder.count > 0) this.#endRun(events)
  }

  /** The next of its changes, which are not kept any longer; undefined = there are no more. */
  take(): { readonly records: Records; readonly events: number } | undefined {
    const run = this.#runs[this.#next]
    if (run === undefined) return undefined
    this.#runs[this.#next++] = { ...run, bytes: 0, length: 0 }
    const { tables, count, events, length } = run
    return { records: new Records(this.#bytesOf(run.bytes, length), tables, count), events }
  }

  /** Nobody needs it any more. */
  close(): void {
    for (const { bytes } of this.#runs.splice(0))
      if (typeof bytes !== 'number') this.#room.used -= bytes.length
    this.#scratch?.close()
    this.#scratch = undefined
  }

  #bytesOf(bytes: Buffer | number, length: number): Buffer {
    if (typeof bytes !== 'number') {
      this.#room.used -= bytes.length
      return bytes
    }
    if (this.#scratch === undefined) throw new Error('a branch was asked after its end')
    return this.#scratch.read(bytes, length)
  }

  #endRun(events: number): void {
    const { bytes, tables, count } = this.builder.finish()
    const { length } = bytes
    this.#runs.push({ tables, count, length, events, bytes: this.#keep(bytes) })
  }

  #keep(bytes: Buffer): Buffer | number {
    if (this.#room.used + bytes.length > this.#room.max) {
      this.#scratch ??= new ScratchFile(this.#room.directory)
      return this.#scratch.write(bytes)
    }
    this.#room.used += bytes.length
    return bytes
  }
}

/** The branches that are open where a reader is. */
export class XaBranches {
  readonly #room: Room
  /** In the order of their PREPAREs; without changes those whose PREPARE is yet to come again. */
  readonly #open = new Map<string, { readonly open: OpenBranch; readonly held: HeldBranch | undefined }>()
  #list: readonly OpenBranch[] | undefined

  /** Begins with what a position says. `bytesMax` and `directory` are for tests. */
  constructor(
    open: readonly OpenBranch[] = [],
    { bytesMax = heldBytesMax, directory }: { readonly bytesMax?: number; readonly directory?: string } = {},
  ) {
    this.#room = { used: 0, max: bytesMax, directory }
    for (const each of open) this.#open.set(each.branch, { open: each, held: undefined })
  }

  /** For the changes of a transaction that begins. */
  hold(): HeldBranch {
    return new HeldBranch(this.#room)
  }

  /** A branch was prepared. Of too many the oldest is forgotten: if it commits, the captured tables are read again. */
  prepared(open: OpenBranch, held: HeldBranch): void {
    const { branch } = open
    this.ended(branch)
    const [oldest] = this.#open.keys()
    if (this.#open.size >= branchesMax && oldest !== undefined) this.ended(oldest)
    this.#open.set(branch, { open, held })
    this.#list = undefined
  }

  /** Its changes; undefined = they are not known. */
  changesOf(branch: string): HeldBranch | undefined {
    return this.#open.get(branch)?.held
  }

  /** A branch was committed and given, or rolled back. */
  ended(branch: string): void {
    const known = this.#open.get(branch)
    if (known === undefined) return
    known.held?.close()
    this.#open.delete(branch)
    this.#list = undefined
  }

  /** For the position. */
  get list(): readonly OpenBranch[] {
    this.#list ??= [...this.#open.values()].map(({ open }) => open)
    return this.#list
  }

  close(): void {
    for (const { held } of this.#open.values()) held?.close()
    this.#open.clear()
    this.#list = undefined
  }
}
