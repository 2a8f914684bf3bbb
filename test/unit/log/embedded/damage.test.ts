/** What the log does with files that are not as it left them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts'
import type { DeadLetter, Log } from '../../../../src/log/log.ts'
import {
  allReached,
  entriesOf,
  insertOf,
  keyFor,
  Numbering,
  readUntil,
  testTable,
} from '../../../support/changes.ts'
import { MemoryDisk } from '../../../support/memory-disk.ts'

const orders = testTable('shop.orders')
const group = 'orders@main'
const lanes = 2

/** A log of a few frames, its process killed; the options make every frame a segment or keep all in one. */
async function written(frames: number, segmentBytes: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const log = await open(disk, segmentBytes)
  await log.tail()
  const numbering = new Numbering(lanes)
  await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
  for (let frame = 0; frame < frames; frame++)
    await log.append(numbering.batch([insertOf(orders, 2 * frame), insertOf(orders, 2 * frame + 1)]))
  disk.kill()
  return disk
}

function open(disk: MemoryDisk, segmentBytes = 1e6): Promise<Log> {
  return openEmbeddedLog({ directory: '/log', disk, segmentBytes, chunkBytes: 64 })
}

function isCorrupt(path: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof Failure &&
    error.kind === 'corrupt' &&
    error.message.includes(path) &&
    /byte \d+/.test(error.message) &&
    error.remedy !== undefined
}

/** Where each frame of a file begins, and the file's end. */
function frameStarts(bytes: Buffer): number[] {
  const starts = []
  for (let at = 0; at < bytes.length; at += 45 + bytes.readUInt32LE(at + 4)) starts.push(at)
  return [...starts, bytes.length]
}

function onlySegment(disk: MemoryDisk): string {
  const [path] = disk.files('/log/segments')
  assert(path !== undefined)
  return path
}

test('a log cut at any byte of its last frame goes on from the frame before it', async () => {
  const whole = (await written(3, 1e6)).contents('/log/segments/0000000000000000.00000001.log')
  const [, , start = 0, end = 0] = frameStarts(whole)
  for (let bytes = start; bytes <= end; bytes++) {
    const disk = await written(3, 1e6)
    disk.alter(onlySegment(disk), (content) => content.subarray(0, bytes))
    const log = await open(disk)
    const control = await log.tail()
    assert.equal(control?.seq, bytes === end ? 6 : 4, `cut at ${bytes}`)
    assert.equal(disk.contents(onlySegment(disk)).length, bytes === end ? end : start)
    const next = await log.append({
      records: [packRecords([insertOf(orders, 9)])],
      firstSeq: control.seq + 1,
      addressee: undefined,
      barriers: [],
      control: { ...control, seq: control.seq + 1 },
    })
    const read = await readUntil(log.read(group, new AbortController().signal), allReached(next, lanes))
    assert.equal(entriesOf(read).length, next)
    await log.close()
  }
})

test('a last frame with sectors that were never written is cut off', async () => {
  const disk = await written(2, 1e6)
  const path = onlySegment(disk)
  disk.alter(path, (content) => Buffer.concat([content, Buffer.alloc(3000)]))
  const log = await open(disk)
  assert.equal((await log.tail())?.seq, 4)
  await log.close()
})

test('a log with any byte changed is refused with file and byte', async () => {
  const whole = (await written(2, 1e6)).contents('/log/segments/0000000000000000.00000001.log')
  const [, second = 0] = frameStarts(whole)
  for (let at = 0; at < whole.length; at++)
    for (const flip of [0x01, 0x80]) {
      const disk = await written(2, 1e6)
      const path = onlySegment(disk)
      disk.alter(path, (content) => {
        content.writeUInt8(content.readUInt8(at) ^ flip, at)
        return content
      })
      const where = `${path}, byte ${at < second ? 0 : second}:`
      await assert.rejects(open(disk), isCorrupt(where))
    }
})

test('damage in an older segment is found by who reads it, and never skipped', async () => {
  for (const at of [0, 5, 20, 41, 60, 200]) {
    const disk = await written(4, 1)
    const [, second = ''] = disk.files('/log/segments')
    disk.alter(second, (content) => {
      content.writeUInt8(content.readUInt8(at) ^ 4, at)
      return content
    })
    const log = await open(disk, 1)
    const read: number[] = []
    await assert.rejects(async () => {
      for await (const { entries } of log.read(group, new AbortController().signal))
        for (const { offset } of entries) read.push(offset)
    }, isCorrupt(second))
    assert(read.every((offset) => offset < 2))
    await assert.rejects(async () => {
      for await (const { offset } of log.find('shop.orders', keyFor(7))) assert.fail(`passed to ${offset}`)
    }, isCorrupt(second))
  }
})

test('an older segment that is cut short is damage', async () => {
  const disk = await written(4, 1)
  const [, second = ''] = disk.files('/log/segments')
  disk.alter(second, (content) => content.subarray(0, -3))
  const log = await open(disk, 1)
  const reading = readUntil(log.read(group, new AbortController().signal), allReached(8, lanes))
  await assert.rejects(reading, isCorrupt(second))
})

test('a missing segment in the middle is named', async () => {
  const disk = await written(4, 1)
  const [, second = '', third = ''] = disk.files('/log/segments')
  await disk.unlink(second)
  await assert.rejects(open(disk, 1), isCorrupt(third))
})

test('a log that ends before what was delivered, or before where it was closed, is refused', async () => {
  const delivered = await written(3, 1)
  const log = await open(delivered, 1)
  await log.commit(group, 1, 6)
  delivered.kill()
  const [, before = '', last = ''] = delivered.files('/log/segments')
  await delivered.unlink(last)
  await assert.rejects(open(delivered, 1), isCorrupt(before))
  const closed = await written(3, 1e6)
  await (await open(closed)).close()
  const path = onlySegment(closed)
  closed.alter(path, (content) => content.subarray(0, frameStarts(content)[2]))
  await assert.rejects(open(closed), isCorrupt(path))
})

const groupPath = '/log/groups/orders%40main.json'
const slotBytes = 4096

/** Opens a log whose group file has one byte changed. */
async function withGroupByteChanged(disk: MemoryDisk, at: number): Promise<Log> {
  disk.alter(groupPath, (content) => {
    content.writeUInt8(content.readUInt8(at) ^ 1, at)
    return content
  })
  return open(disk)
}

test('a group file with a byte of its only state changed is refused', async () => {
  const start = slotBytes
  const end = start + (await written(1, 1e6)).contents(groupPath).indexOf('\n', start) - start
  for (let at = start; at < end; at++)
    await assert.rejects(withGroupByteChanged(await written(1, 1e6), at), isCorrupt(groupPath))
})

/** A log whose group has committed several times: its file holds two states. */
async function committed(): Promise<MemoryDisk> {
  const disk = await written(3, 1e6)
  const log = await open(disk)
  for (const next of [1, 2, 3]) await log.commit(group, 0, next)
  disk.kill()
  return disk
}

test('a group whose last state is torn goes on from the one before, which repeats and skips nothing', async () => {
  const content = (await committed()).contents(groupPath)
  const newest = content.subarray(0, slotBytes).includes('"lanes":[3,0]') ? 0 : slotBytes
  for (let at = newest; at < content.indexOf('\n', newest); at++) {
    const log = await withGroupByteChanged(await committed(), at)
    assert.deepEqual((await log.groups())[0]?.lanes, [2, 0])
    await log.commit(group, 0, 5)
    await log.close()
  }
})

test('a dead letter file with any byte changed is refused', async () => {
  const letter = deadLetter()
  const path = '/log/dead-letters/a.log'
  for (let at = 0; ; at++) {
    const disk = new MemoryDisk()
    const log = await open(disk)
    await log.deadLetters.put('a', [letter])
    await log.close()
    if (at === disk.contents(path).length) break
    disk.alter(path, (content) => {
      content.writeUInt8(content.readUInt8(at) ^ 2, at)
      return content
    })
    const again = await open(disk)
    await assert.rejects(again.deadLetters.count('a'), isCorrupt(path))
    await assert.rejects(again.deadLetters.put('a', [letter]), isCorrupt(path))
  }
})

function deadLetter(): DeadLetter {
  return {
    id: '1',
    table: 'a.b',
    key: '[1]',
    version: '1',
    op: 'delete',
    reason: 'no',
    fingerprint: 'no',
    attempts: 1,
    firstAtMs: 1,
    lastAtMs: 1,
    document: undefined,
  }
}
