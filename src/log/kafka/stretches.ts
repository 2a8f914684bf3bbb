/** Stretches of the log that somebody names: where they begin, and what they hold, over all topics. */
import type { Offset } from '../../change/change.ts'
import { noRecords, RecordsBuilder, type Records } from '../../change/records.ts'
import type { LogPlace, LogStretch } from '../log.ts'
import type { Client } from './client.ts'
import { placeName, type Place } from './connections.ts'
import type { FetchedRecord } from './fetched-batch.ts'
import { ControlState, type KnownBarrier } from './control-state.ts'
import { keptFrom } from './group-admin.ts'
import { readHeaders, type RecordHeaders } from './headers.ts'
import { readerOf, tableOf } from './lane.ts'
import { beginning, lost, seqAt } from './places.ts'

const pieceBytes = 2 ** 20
const stretchRecords = 500

interface Append {
  readonly first: Offset
  readonly next: Offset
}

/**
 * The first append that fits. Control records are kept for a while only: where the oldest kept one fits already, it may be
 * any before; and where one is looked for by time, only its first record is known.
 */
export async function appendAt(
  client: Client,
  state: ControlState,
  place: LogPlace,
  control: string,
): Promise<Append | undefined> {
  if (place.kind === 'time') return await appendSince(client, state, place.appendedAtMs)
  const seen = new ControlState()
  let before: Offset | undefined
  for await (const record of recordsOf(client, { topic: control, partition: 0 })) {
    const last = seen.control
    seen.take(record)
    if (seen.control === undefined || seen.control === last) continue
    const next = seen.control.seq
    if (place.reached(seen.control)) return { first: before ?? (await oldest(client, state)), next }
    before = next
  }
  return undefined
}

async function oldest(client: Client, state: ControlState): Promise<Offset> {
  const kept = await keptFrom(client, [...state.topics.keys()], state)
  return Math.max(0, ...kept.map(({ from }) => from))
}

async function appendSince(
  client: Client,
  state: ControlState,
  appendedAtMs: number,
): Promise<Append | undefined> {
  const places = placesOf(state)
  const offsets = await client.offsetsSince(places, appendedAtMs)
  const found: Offset[] = []
  for (const place of places) {
    const offset = offsets.get(placeName(place)) ?? -1n
    const first = offset < 0n ? undefined : await seqAt(client, place, offset)
    if (first !== undefined) found.push(first.seq - 1)
  }
  if (found.length === 0) return undefined
  const first = Math.min(...found)
  return { first, next: first + 1 }
}

function placesOf(state: ControlState): readonly Place[] {
  return [...state.topics].flatMap(([topic, { ends }]) => ends.map((_, partition) => ({ topic, partition })))
}

/** What was appended from one offset to before another, in order. */
export async function* stretchesOf(
  client: Client,
  state: ControlState,
  from: Offset,
  to: Offset,
): AsyncGenerator<LogStretch> {
  if (from >= to) return
  const all = [...state.topics.keys()]
  for (const kept of await keptFrom(client, all, state))
    if (kept.from > from) throw lost(`the log does not go back to ${from} in ${placeName(kept)}`)
  const streams = placesOf(state)
    .filter(({ topic, partition }) => (state.topics.get(topic)?.ends[partition] ?? 0) > from)
    .map((place) => behind(client, state, place, from))
  const barriers = state.barriers.filter(({ seq }) => seq > from && seq <= to)
  const gathered = new Gathering(state)
  for await (const each of merged(streams)) {
    const { seq } = each.headers
    if (seq > to) break
    for (; barriers[0] !== undefined && barriers[0].seq < seq; barriers.shift()) {
      if (!gathered.isEmpty) yield gathered.finish()
      yield barrierStretch(barriers[0])
    }
    if (!gathered.follows(each.headers)) yield gathered.finish()
    gathered.add(each)
  }
  if (!gathered.isEmpty) yield gathered.finish()
  for (const each of barriers) yield barrierStretch(each)
}

interface Numbered {
  readonly headers: RecordHeaders & { readonly version: bigint }
  readonly record: FetchedRecord
}

function barrierStretch({ seq, epoch, barrier }: KnownBarrier): LogStretch {
  const version = (BigInt(epoch) << 48n) | BigInt(seq)
  return { records: noRecords, offset: seq - 1, version, addressee: undefined, barriers: [barrier] }
}

/** Records of one addressee that follow each other without a gap. */
class Gathering {
  readonly #state: ControlState
  readonly #builder = new RecordsBuilder()
  #first: Numbered['headers'] | undefined

  constructor(state: ControlState) {
    this.#state = state
  }

  get isEmpty(): boolean {
    return this.#first === undefined
  }

  follows({ seq, epoch, addressee }: RecordHeaders): boolean {
    const first = this.#first
    if (first === undefined) return true
    const { count } = this.#builder
    const isNext = seq === first.seq + count && count < stretchRecords
    return isNext && epoch === first.epoch && addressee === first.addressee
  }

  add({ headers, record }: Numbered): void {
    this.#first ??= headers
    const reader = readerOf(tableOf(this.#state, headers.fingerprint))
    this.#builder.within(headers.gtid)
    reader.read(this.#builder, record, headers)
  }

  finish(): LogStretch {
    const first = this.#first
    if (first === undefined) throw new Error('nothing was gathered')
    this.#first = undefined
    const records: Records = this.#builder.finish()
    const { seq, version, addressee } = first
    return {
      records,
      offset: seq - 1,
      version,
      addressee: addressee === '' ? undefined : addressee,
      barriers: [],
    }
  }
}

async function* behind(
  client: Client,
  state: ControlState,
  place: Place,
  from: Offset,
): AsyncGenerator<Numbered> {
  const begin = await beginning(client, state, { ...place, next: from, committed: undefined })
  for await (const record of recordsOf(client, place, begin)) {
    const headers = readHeaders(record)
    if (headers.seq > from) yield { headers, record }
  }
}

/** Of several ordered streams, what comes next in the log. */
async function* merged(streams: readonly AsyncGenerator<Numbered>[]): AsyncGenerator<Numbered> {
  const heads = new Map<AsyncGenerator<Numbered>, Numbered>()
  const advance = async (stream: AsyncGenerator<Numbered>): Promise<void> => {
    const { value, done } = await stream.next()
    if (done === true) heads.delete(stream)
    else heads.set(stream, value)
  }
  await Promise.all(streams.map(advance))
  while (heads.size > 0) {
    const [stream, head] = [...heads].reduce((one, other) =>
      one[1].headers.seq <= other[1].headers.seq ? one : other,
    )
    yield head
    await advance(stream)
  }
}

/** Every record that a partition keeps now, from an offset on. */
export async function* recordsOf(client: Client, place: Place, from?: bigint): AsyncGenerator<FetchedRecord> {
  const end = (await client.ends([place], 'finished')).get(placeName(place)) ?? 0n
  let offset = from ?? (await client.ends([place], 'first')).get(placeName(place)) ?? 0n
  while (offset < end) {
    const limits = { waitMs: 100, bytes: pieceBytes, partitionBytes: pieceBytes }
    const [fetched] = await client.fetch([{ ...place, offset }], limits)
    if (fetched === undefined) return
    yield* fetched.records
    offset = fetched.next
  }
}
