/** What a document shows of itself under `_millrace`, where its pipeline asks for that. */
import { hash } from 'node:crypto'
import { committedAtMsOf } from '../change/records.ts'
import { stampField, type Body, type stampMembers } from '../sink/sink.ts'
import type { Enricher } from './enricher.ts'

/** The same documents, each with its stamp. Whatever else makes them comes before. */
export function stamped(enrich: Enricher): Enricher {
  return async (entries, signal) => {
    const works = await enrich(entries, signal)
    return Array.from(works, ({ at, operation }) => {
      if (operation.op === 'delete') return { at, operation }
      const origin = {
        version: operation.version,
        committedAtMs: committedAtMsOf(entries.records, entries.place(at)),
        transaction: entries.transaction(at),
      }
      const body = new StampedBody(operation.body, origin)
      return { at, operation: { ...operation, body } }
    })
  }
}

interface Origin {
  readonly version: bigint
  /** 0 = not known: the row was read. */
  readonly committedAtMs: number
  /** Empty = not known: the row was read, or the log had it before somebody asked for stamps. */
  readonly transaction: string
}

/** The stamp follows from the version and the document, so that the same version has the same stamp. */
class StampedBody implements Body {
  readonly bytesMax: number
  readonly #body: Body
  readonly #origin: Origin

  constructor(body: Body, origin: Origin) {
    this.bytesMax = body.bytesMax + stampBytesMax + origin.transaction.length
    this.#body = body
    this.#origin = origin
  }

  write(target: Buffer, at: number): number {
    const end = this.#body.write(target, at)
    const { version, committedAtMs, transaction } = this.#origin
    const stamp: Stamp = {
      version: String(version),
      committedAt: committedAtMs === 0 ? null : new Date(committedAtMs).toISOString(),
      gtid: transaction === '' ? null : transaction,
      hash: hash('sha256', target.subarray(at, end), 'hex'),
    }
    const comma = end - at > '{}'.length ? ',' : ''
    // In place of the document's last brace.
    return end - 1 + target.write(`${comma}"${stampField}":${JSON.stringify(stamp)}}`, end - 1, 'latin1')
  }
}

type Stamp = Readonly<Record<keyof typeof stampMembers, string | null>>

/** Names, 19 digits, a time, 64 digits of a hash. */
const stampBytesMax = 256
