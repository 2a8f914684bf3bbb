/** The end of the log in memory: what readers get from it is what they get from the files, and safe. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts'
import { RecentFrames } from '../../../../src/log/embedded/recent.ts'
import { Frame } from '../../../../src/log/embedded/record.ts'
import { segmentAt } from '../../../../src/log/embedded/segment.ts'
import type { Entry, LaneBatch, Log } from '../../../../src/log/log.ts'
import {
  allReached,
  entriesOf,
  insertOf,
  keyFor,
  Numbering,
  readUntil,
  testTable,
} from '../../../support/changes.ts'
import { MemoryDisk, type DiskOperation } from '../../../support/memory-disk.ts'

const tables = ['shop.orders', 'shop.notes'].map(testTable)
const [orders] = tables
assert(orders !== undefined)
const group = 'both@main'
const lanes = 3

function open(disk: MemoryDisk, segmentBytes: number): Promise<Log> {
  return openEmbeddedLog({ directory: '/log', disk, segmentBytes, chunkBytes: 700 })
}

async function begun(disk: MemoryDisk, segmentBytes = 1e6): Promise<Log> {
  const log = await open(disk, segmentBytes)
  await log.tail()
  await log.define({ name: group, tables: tables.map(({ name }) => name), at: 0, attributes: {} })
  return log
}

async function readAll(log: Log): Promise<LaneBatch[]> {
  const { next } = await log.retention()
  return readUntil(log.read(group, new AbortController().signal), allReached(next, lanes))
}

/** Counts what is asked of the segments' files from now on. */
function counted(disk: MemoryDisk): Map<DiskOperation, number> {
  const counts = new Map<DiskOperation, number>()
  disk.fault = (operation, path) => {
    if (path.startsWith('/log/segments/')) counts.set(operation, (counts.get(operation) ?? 0) + 1)
    return undefined
  }
  return counts
}

test('a reader sees the same through memory and through files, wherever segments end', async () => {
  for (const segmentBytes of [1, 1500, 1e6]) {
    const disk = new MemoryDisk()
    const log = await begun(disk, segmentBytes)
    const numbering = new Numbering(lanes)
    for (let id = 0; id < 60; id += 3)
      await log.append(
        numbering.batch(
          [0, 1, 2].map((more) => insertOf(tables[(id + more) % 2] ?? orders, id + more)),
          id % 4 === 0 ? { addressee: group } : {},
        ),
      )
    const counts = counted(disk)
    const fromMemory = await readAll(log)
    assert.deepEqual([...counts], [], 'no file was touched')
    await log.close()
    const again = await open(disk, segmentBytes)
    counts.clear()
    const fromFiles = await readAll(again)
    assert((counts.get('read') ?? 0) > 0, 'files were read')
    assert.deepEqual(told(fromMemory), told(fromFiles))
    assert.equal(entriesOf(fromFiles).length, 60)
  }
})

test('the memory of a batch that was released is used again, and who reads on finds that out', async () => {
  const disk = new MemoryDisk()
  const numbering = new Numbering(lanes)
  const before = await begun(disk)
  for (let id = 0; id < 40; id++) await before.append(numbering.batch([insertOf(orders, id)]))
  await before.close()
  const log = await open(disk, 1e6)
  const held: LaneBatch[] = []
  for (const batch of await readAll(log)) {
    if (batch.entries.length === 0) continue
    assert.equal([...batch.entries].length, batch.entries.length)
    batch.release?.()
    held.push(batch)
  }
  assert(held.length > 1)
  for (const { entries } of held) assert.throws(() => [...entries], Failure)
})

test('of what a reader took from memory nothing is overwritten', async () => {
  const log = await begun(new MemoryDisk())
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch(Array.from({ length: 40 }, (_, id) => insertOf(orders, id))))
  const lent = await readAll(log)
  const count = entriesOf(lent).length
  const wide = 'x'.repeat(1_000_000)
  for (let id = 40; id < 50; id++) await log.append(numbering.batch([insertOf(orders, id, wide)]))
  assert.equal(entriesOf(lent).length, count)
})

test('the memory of frames at the end is used again only when readers and the end have let it go', async () => {
  const log = await begun(new MemoryDisk())
  const numbering = new Numbering(lanes)
  const wide = 'x'.repeat(1_000_000)
  const write = async (from: number): Promise<void> => {
    for (let id = from; id < from + 10; id++) await log.append(numbering.batch([insertOf(orders, id, wide)]))
  }
  await log.append(numbering.batch([insertOf(orders, 0)]))
  const batches = (await readAll(log)).filter(({ entries }) => entries.length > 0)
  for (const { release } of batches) release?.()
  assert.equal(entriesOf(batches).length, 1, 'it is still at the end of the log')
  await write(1)
  for (const { entries } of batches) assert.throws(() => [...entries], Failure)
})

test('a reader that comes to the end along the files goes on in memory without a gap', async () => {
  const disk = new MemoryDisk()
  const numbering = new Numbering(lanes)
  const before = await begun(disk)
  for (let id = 0; id < 20; id++) await before.append(numbering.batch([insertOf(orders, id)]))
  await before.close()
  const log = await open(disk, 1e6)
  await log.tail()
  for (let id = 20; id < 30; id++) await log.append(numbering.batch([insertOf(orders, id)]))
  const read = entriesOf(await readAll(log))
  assert.deepEqual(offsetsOf(read), [...Array.from({ length: 30 }).keys()])
})

test('a reader at the end opens and reads no file, however many appends come', async () => {
  const disk = new MemoryDisk()
  const log = await begun(disk)
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch([insertOf(orders, 0)]))
  const counts = counted(disk)
  const reading = readUntil(
    log.read(group, new AbortController().signal),
    (read) => entriesOf(read).length === 50,
  )
  for (let id = 1; id < 50; id++) {
    await log.append(numbering.batch([insertOf(orders, id)]))
    await log.lag(group)
  }
  assert.equal(entriesOf(await reading).length, 50)
  assert.deepEqual(
    [...counts.keys()].toSorted((one, other) => one.localeCompare(other)),
    ['sync', 'write'],
  )
})

test('a frame that is not yet synced, or whose sync failed, is never read', async () => {
  const disk = new MemoryDisk()
  const log = await begun(disk)
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch([insertOf(orders, 0)]))
  const safe = numbering.control
  let looking: Promise<Entry[]> | undefined
  disk.fault = (operation, path) => {
    if (operation !== 'sync' || !path.startsWith('/log/segments/')) return undefined
    looking = collected(log.find('shop.orders', keyFor(1)))
    return 'EIO'
  }
  await assert.rejects(log.append(numbering.batch([insertOf(orders, 1)])))
  assert.deepEqual(await looking, [], 'at the moment of the sync')
  disk.fault = () => undefined
  assert.deepEqual(keysOf(await readAll(log)), ['[0]'])
  assert.deepEqual(await log.tail(), safe)
  numbering.control = safe
  await log.append(numbering.batch([insertOf(orders, 2)]))
  assert.deepEqual(keysOf(await readAll(log)), ['[0]', '[2]'])
})

/** A log that keeps no more than its last segments. */
async function forgetful(segmentBytes: number): Promise<Log> {
  const limits = { retentionBytes: 1, ceilingBytes: 1 }
  const log = await openEmbeddedLog({ directory: '/log', disk: new MemoryDisk(), segmentBytes, ...limits })
  await log.tail()
  await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
  return log
}

test('a reader at the end of a segment goes on when the segment is dropped', async () => {
  const log = await forgetful(1)
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch([insertOf(orders, 0)]))
  const reading = log.read(group, new AbortController().signal)[Symbol.asyncIterator]()
  const first = await reading.next()
  assert(first.done !== true)
  for (let lane = 0; lane < lanes; lane++) await log.commit(group, lane, 1)
  await log.append(numbering.batch([insertOf(orders, 1)]))
  await log.drop()
  assert.equal((await log.retention()).oldest, 1)
  const read = [first.value]
  while (entriesOf(read).length < 2) {
    const { done, value } = await reading.next()
    assert(done !== true)
    read.push(value)
  }
  assert.deepEqual(offsetsOf(entriesOf(read)), [0, 1])
})

test('what is dropped with a part that was not yet read is lost, not skipped', async () => {
  const log = await forgetful(500)
  const numbering = new Numbering(lanes)
  await log.append(numbering.batch([insertOf(orders, 0)]))
  const finding = log.find('shop.orders', keyFor(0))[Symbol.asyncIterator]()
  assert.equal((await finding.next()).value.offset, 0)
  for (let id = 1; (await log.parts()).length < 3; id++)
    await log.append(numbering.batch([insertOf(orders, id)]))
  await log.drop()
  await assert.rejects(
    async () => finding.next(),
    (error) => error instanceof Failure && error.kind === 'lost',
  )
})

test('memory is bounded by bytes and by frames, and the oldest go first', () => {
  const segment = segmentAt('/log', 0, 1)
  const recent = new RecentFrames()
  const frames = Array.from({ length: 5 }, (_, at) => frameOf(at * 2 ** 20, 2 ** 20 - 45))
  for (const frame of frames) recent.keep(segment, frame)
  assert.deepEqual(
    frames.map(({ at }) => recent.frameAt(segment, at)),
    [undefined, ...frames.slice(1)],
  )
  recent.keep(segment, frameOf(5 * 2 ** 20, 5 * 2 ** 20))
  assert.equal(recent.frameAt(segment, 5 * 2 ** 20), undefined, 'what is too large is not kept')
  const small = Array.from({ length: 1200 }, (_, at) => frameOf(at * 100, 55))
  for (const frame of small) recent.keep(segment, frame)
  assert.equal(small.filter(({ at }) => recent.frameAt(segment, at) !== undefined).length, 1000)
  assert.equal(recent.frameAt(segmentAt('/log', 0, 2), 1199 * 100), undefined, 'of another segment')
})

function frameOf(at: number, payloadBytes: number): Frame {
  const header = { payloadChecksum: 0, count: 0, first: 0, appendedAtMs: 0, firstSeq: 0, epoch: 1, flags: 0 }
  return new Frame({ ...header, payloadBytes }, at, Buffer.alloc(payloadBytes))
}

/** The batches of each lane, one after the other: how they are spread over reads does not matter. */
function told(batches: readonly LaneBatch[]): unknown[] {
  return Array.from({ length: lanes }, (_, lane) =>
    batches.filter((batch) => batch.lane === lane).flatMap(({ entries }) => [...entries]),
  )
}

async function collected(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const all: Entry[] = []
  for await (const entry of entries) all.push(entry)
  return all
}

function keysOf(batches: readonly LaneBatch[]): string[] {
  return entriesOf(batches).map(({ change }) => change.key)
}

function offsetsOf(entries: readonly Entry[]): number[] {
  return entries.map(({ offset }) => offset)
}
