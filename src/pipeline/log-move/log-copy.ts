/** Copies records from one log to another, under the versions that they have; says where in the other each place is then. */
import type { Offset } from '../../change/change.ts'
import { originsBetween } from '../../change/origins.ts'
import { RecordCursor, Records } from '../../change/records.ts'
import type { ChangeLog, Control, LogStretch } from '../../log/log.ts'
import { epochOf, seqOf } from '../capture/numbering.ts'

export interface LogCopyParts {
  readonly to: Pick<ChangeLog, 'append'>
  /** Goes along with every append, its numbers apart. */
  readonly control: Control
  /** What the other log has already: records with higher numbers are copied. */
  readonly hasSeq: number
  /** The offset of a record that the other log has already. */
  readonly offsetOf: (seq: number) => Offset
  /** Places in the log that is copied. */
  readonly places: readonly Offset[]
  readonly copied: (records: number) => void
}

/** About so much goes into one append. */
const appendBytes = 2 ** 20

interface Gathered {
  readonly seq: number
  readonly epoch: number
  readonly offset: Offset
  readonly addressee: string | undefined
  readonly records: Records[]
  count: number
  bytes: number
}

export class LogCopy {
  readonly #parts: LogCopyParts
  readonly #waiting: Offset[]
  readonly #found = new Map<Offset, Offset>()
  #gathered: Gathered | undefined
  /** The number of the first record that was looked at; undefined = none was. */
  firstSeq: number | undefined
  copied = 0

  constructor(parts: LogCopyParts) {
    this.#parts = parts
    this.#waiting = [...new Set(parts.places)].toSorted((one, other) => one - other)
  }

  /** In the order of the log. */
  async take(stretch: LogStretch): Promise<void> {
    // What took no number is in the control record.
    if (stretch.version === 0n) return
    const seq = seqOf(stretch.version)
    this.firstSeq ??= seq
    const count = stretch.records.count + stretch.barriers.length
    const known = Math.min(count, Math.max(0, this.#parts.hasSeq - seq + 1))
    if (known > 0) this.#settle(stretch.offset, known, this.#parts.offsetOf(seq))
    if (known === count) return
    if (stretch.barriers.length > 0) await this.#appendBarriers(stretch)
    else await this.#gather(known === 0 ? stretch : behind(stretch, known))
  }

  /** Answers where in the other log each of the places is; behind all records is `end`. */
  async finish(end: () => Promise<Offset>): Promise<(place: Offset) => Offset> {
    await this.#flush()
    const last = await end()
    return (place) => this.#found.get(place) ?? last
  }

  async #gather({ records, offset, version, addressee }: LogStretch): Promise<void> {
    const [seq, epoch] = [seqOf(version), epochOf(version)]
    const before = this.#gathered
    const follows =
      before !== undefined &&
      before.seq + before.count === seq &&
      before.epoch === epoch &&
      before.addressee === addressee &&
      before.bytes < appendBytes
    if (!follows) await this.#flush()
    this.#gathered ??= { seq, epoch, offset, addressee, records: [], count: 0, bytes: 0 }
    this.#gathered.records.push(records)
    this.#gathered.count += records.count
    this.#gathered.bytes += records.bytes.length
  }

  async #flush(): Promise<void> {
    const gathered = this.#gathered
    if (gathered === undefined) return
    this.#gathered = undefined
    const { seq, epoch, offset, addressee, records, count } = gathered
    const control = { ...this.#parts.control, epoch, seq: seq + count - 1 }
    const next = await this.#parts.to.append({ records, firstSeq: seq, addressee, barriers: [], control })
    this.#settle(offset, count, next - count)
    this.#count(count)
  }

  async #appendBarriers({ offset, version, barriers }: LogStretch): Promise<void> {
    await this.#flush()
    const [seq, epoch] = [seqOf(version), epochOf(version)]
    const control = { ...this.#parts.control, epoch, seq: seq + barriers.length - 1 }
    const batch = { records: [], firstSeq: seq, addressee: undefined, barriers, control }
    const next = await this.#parts.to.append(batch)
    this.#settle(offset, barriers.length, next - barriers.length)
    this.#count(barriers.length)
  }

  /** So many records from one offset on stand from another on in the other log. */
  #settle(offset: Offset, count: number, there: Offset): void {
    for (
      let [place] = this.#waiting;
      place !== undefined && place < offset + count;
      [place] = this.#waiting
    ) {
      this.#found.set(place, there + Math.max(0, place - offset))
      this.#waiting.shift()
    }
  }

  #count(records: number): void {
    this.copied += records
    this.#parts.copied(this.copied)
  }
}

/** Without the first records. */
function behind(stretch: LogStretch, count: number): LogStretch {
  const { records, offset, version } = stretch
  const cursor = new RecordCursor(records)
  for (let passed = 0; passed <= count; passed++) cursor.next()
  const bytes = records.bytes.subarray(cursor.place)
  const origins = originsBetween(records.origins, cursor.place, records.bytes.length)
  const rest = new Records(bytes, records.tables, records.count - count, origins)
  return { ...stretch, records: rest, offset: offset + count, version: version + BigInt(count) }
}
