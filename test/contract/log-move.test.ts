import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { Log } from '../../src/log/log.ts'
import { insertOf, testTable } from '../support/changes.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { MemoryLog, MemoryLogContents } from '../support/memory-log.ts'
import { filled, move, testLogMove } from './log-move.contract.ts'

testLogMove('from files to memory and back', async () => {
  const opened: Log[] = []
  const another = async (): Promise<Log> => {
    const log = await openEmbeddedLog({ directory: '/log', segmentBytes: 500, disk: new MemoryDisk() })
    opened.push(log)
    return log
  }
  const contents = new MemoryLogContents()
  const close = async (): Promise<void> => {
    for (const log of opened) await log.close()
  }
  return {
    from: await another(),
    to: new MemoryLog(contents, () => 1_000),
    another,
    offsetOf: (seq) =>
      contents.records.find(({ entry }) => (entry.version & 0xffff_ffff_ffffn) === BigInt(seq))?.entry
        .offset ?? contents.records.length,
    close,
  }
})

/** It drops whatever it may. */
function forgetfulLog(): Promise<Log> {
  const limits = { segmentBytes: 1, retentionBytes: 1, ceilingBytes: 2000, retentionMs: 0 }
  return openEmbeddedLog({ directory: '/log', disk: new MemoryDisk(), ...limits })
}

function memoryLog(): Log {
  return new MemoryLog(new MemoryLogContents(), () => 1_000)
}

const noOffset = (): number => assert.fail('nothing is there yet')

test('a group that lost records holds up a move, unless nobody reads it any more', async () => {
  const from = await forgetfulLog()
  const numbering = await filled(from)
  for (let id = 50; id < 60; id++)
    await from.append(numbering.batch([insertOf(testTable('shop.orders'), id)]))
  await from.drop()
  await assert.rejects(move({ from, to: memoryLog() }, noOffset), /that orders@\w+.* had not delivered/)
  assert.equal((await from.control())?.moved, undefined)
  const to = memoryLog()
  const { leftBehind } = await move({ from, to }, noOffset, { isOrphan: () => true })
  assert.deepEqual(leftBehind.toSorted(), ['orders@backup', 'orders@main'])
  assert.deepEqual(await to.groups(), [])
})

test('a log does not come back where some of what lies between is gone', async () => {
  const [first, to, back] = [await forgetfulLog(), memoryLog(), await forgetfulLog()]
  const numbering = await filled(first)
  await move({ from: first, to }, noOffset)
  await move({ from: to, to: back }, noOffset)
  const control = await back.tail()
  assert(control !== undefined)
  numbering.control = control
  for (let id = 50; id < 60; id++)
    await back.append(numbering.batch([insertOf(testTable('shop.orders'), id)]))
  const { next } = await back.retention()
  for (const { name, lanes } of await back.groups())
    for (const lane of lanes.keys()) await back.commit(name, lane, next)
  await back.drop()
  await assert.rejects(
    move({ from: back, to }, (seq) => seq),
    /that in here keeps nothing from before/,
  )
  assert.equal((await back.control())?.moved, undefined)
})
