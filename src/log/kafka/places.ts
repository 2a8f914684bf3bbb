/**
 * Where a group is. Each lane commits the offsets of its partitions in one request, with the offset of our own counting
 * and the group's generation beside them; so a place counts only for the definition that it was committed under, and
 * where no offset is known for a partition it is looked for.
 */
import { Failure } from '../../change/failure.ts'
import type { Client } from './client.ts'
import { placeName, type Place } from './connections.ts'
import type { CommittedPlace, Member } from './group-calls.ts'
import type { ControlState, DefinedGroup } from './control-state.ts'
import { readHeaders } from './headers.ts'
import type { Names } from './names.ts'

export interface LanePlace {
  /** Everything before is delivered. */
  readonly next: number
  /** By topic, where to read on; a topic that is not in it has to be looked through. */
  readonly offsets: ReadonlyMap<string, KnownOffset>
}

/** An offset says nothing of another topic that was made under the same name. */
export interface KnownOffset {
  readonly id: string
  readonly offset: bigint
}

/** Where to read on in a topic, as it is now; undefined = it has to be looked for. */
export function offsetIn(
  { topics }: ControlState,
  { offsets }: LanePlace,
  topic: string,
): bigint | undefined {
  const known = offsets.get(topic)
  return known?.id === topics.get(topic)?.id ? known?.offset : undefined
}

/** The topics that a group reads, of those that are there. */
export function topicsOf(names: Names, { topics }: ControlState, group: DefinedGroup): readonly string[] {
  return [names.work, ...group.tables.map(names.table)].filter((topic) => topics.has(topic))
}

export async function placesOf(
  { client, names }: { readonly client: Client; readonly names: Names },
  group: DefinedGroup,
  lanes: number,
): Promise<readonly LanePlace[]> {
  const committed = await client.groups.committedOffsets(names.group(group.name))
  return Array.from({ length: lanes }, (_, lane) => {
    let next = group.start
    const offsets = new Map<string, KnownOffset>()
    for (const { topic, partition, offset, metadata } of committed) {
      const [generation, place, id] = metadata.split(' ')
      if (partition !== lane || generation !== group.generation) continue
      next = Math.max(next, Number(place))
      if (id !== undefined) offsets.set(topic, { id, offset })
    }
    return { next, offsets }
  })
}

/** `offsets` undefined = where the partitions were read to is not known. */
export async function commitPlace(
  { client, names }: { readonly client: Client; readonly names: Names },
  group: DefinedGroup,
  member: Member,
  { lane, next, offsets }: { readonly lane: number } & LanePlace,
): Promise<void> {
  const metadata = `${group.generation} ${next}`
  const places: CommittedPlace[] = [...offsets].map(([topic, { id, offset }]) => ({
    topic,
    partition: lane,
    offset,
    metadata: `${metadata} ${id}`,
  }))
  if (!offsets.has(names.work)) places.push({ topic: names.work, partition: lane, offset: 0n, metadata })
  await client.groups.commitOffsets(names.group(group.name), member, places)
}

/**
 * The offset to begin with in a partition, so that every record after `next` is seen. Throws a Failure of kind `lost`
 * where some of them are no longer kept.
 */
export async function beginning(
  client: Client,
  state: ControlState,
  place: Place & { readonly next: number; readonly committed: bigint | undefined },
): Promise<bigint> {
  const { topic, partition, next, committed } = place
  const known = state.topics.get(topic)
  if (known !== undefined && known.since > next)
    throw lost(`the topic ${topic} was deleted with changes that were not delivered`)
  if (known !== undefined) await checkSame(client, topic, known.id)
  const first = (await client.ends([place], 'first')).get(placeName(place)) ?? 0n
  if (committed !== undefined && committed >= first) return committed
  const isBehind = (known?.ends[partition] ?? 0) > next
  const pinned = { ...place, id: known?.id }
  if (first > 0n && isBehind) await checkKept(client, pinned, first)
  return await locate(client, pinned, { next, first })
}

/** What is read of a topic that capture does not know yet would be believed to be all that there was. */
async function checkSame(client: Client, topic: string, id: string): Promise<void> {
  if ((await client.topics([topic], true)).get(topic)?.id === id) return
  throw new Failure('transient', `the topic ${topic} is gone, or another one has its name`, {
    remedy: 'none is needed: capture makes it anew, and whoever lacks what it held is told',
  })
}

/** Whether nothing was dropped behind the place, of a partition that no longer goes back to its beginning. */
async function checkKept(
  client: Client,
  place: Place & { readonly next: number; readonly committed: bigint | undefined },
  first: bigint,
): Promise<void> {
  const kept = place.committed === undefined ? await seqAt(client, place, first) : undefined
  if (kept === undefined || kept.seq > place.next + 1)
    throw lost(`retention dropped changes from ${placeName(place)} that were not delivered`)
}

export function lost(message: string): Failure {
  return new Failure('lost', message, { remedy: 'reload the pipeline: millrace run --reload NAME' })
}

/** So few records are rather read than halved again. */
const fewRecords = 2000n

/** An offset at or before the first record behind `next`, and not far before it. */
async function locate(
  client: Client,
  place: Place,
  { next, first }: { readonly next: number; readonly first: bigint },
): Promise<bigint> {
  let low = first
  let high = (await client.ends([place], 'last')).get(placeName(place)) ?? first
  while (high - low > fewRecords) {
    const middle = (low + high) / 2n
    const found = await seqAt(client, place, middle)
    if (found !== undefined && found.seq <= next && found.offset < high) low = found.offset
    else high = middle
  }
  return low
}

/** The first record at or behind an offset. */
export async function seqAt(
  client: Client,
  place: Place,
  offset: bigint,
): Promise<{ readonly seq: number; readonly offset: bigint; readonly appendedAtMs: number } | undefined> {
  for (let from = offset; ;) {
    const [fetched] = await client.fetch([{ ...place, offset: from }], {
      waitMs: 0,
      bytes: 1,
      partitionBytes: 1,
    })
    const record = fetched?.find(() => true)
    if (record !== undefined) {
      const { seq } = readHeaders(record)
      return { seq, offset: record.offset, appendedAtMs: record.appendedAtMs }
    }
    if (fetched === undefined || fetched.next === from) return undefined
    from = fetched.next
  }
}
