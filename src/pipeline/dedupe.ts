/**
 * The work that a lane holds: of several operations on one document, only the last is written; every entry that asked
 * for it is finished when that one is.
 */
import type { Key, Offset } from '../change/change.ts'
import type { Entry } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'

export interface PendingWork {
  operation: Operation
  readonly table: string
  readonly key: Key
  /** The entries that this operation settles. */
  readonly offsets: Offset[]
  /** Their commit times, ms since 1970; 0 = not a change but a row that was read. */
  readonly committedAtMs: number[]
  attempts: number
  bytes: number
}

export class PendingOperations {
  readonly #byId = new Map<string, PendingWork>()
  #bytes = 0

  get count(): number {
    return this.#byId.size
  }

  get bytes(): number {
    return this.#bytes
  }

  add(operation: Operation, { offset, change }: Entry): void {
    const bytes = (operation.body?.length ?? 0) + operation.id.length + 100
    const known = this.#byId.get(operation.id)
    if (known === undefined) {
      this.#byId.set(operation.id, {
        operation,
        table: change.table.name,
        key: change.key,
        offsets: [offset],
        committedAtMs: [change.committedAtMs],
        attempts: 0,
        bytes,
      })
      this.#bytes += bytes
      return
    }
    this.#bytes += bytes - known.bytes
    known.operation = operation
    known.offsets.push(offset)
    known.committedAtMs.push(change.committedAtMs)
    known.attempts = 0
    known.bytes = bytes
  }

  /** The oldest work, at most so many operations and so many bytes, but at least one. */
  first(countMax: number, bytesMax: number): PendingWork[] {
    const chosen: PendingWork[] = []
    let bytes = 0
    for (const work of this.#byId.values()) {
      if (chosen.length > 0 && (chosen.length >= countMax || bytes + work.bytes > bytesMax)) break
      chosen.push(work)
      bytes += work.bytes
    }
    return chosen
  }

  remove(work: PendingWork): void {
    if (this.#byId.delete(work.operation.id)) this.#bytes -= work.bytes
  }

  values(): IterableIterator<PendingWork> {
    return this.#byId.values()
  }
}
