import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Groups } from '../../../../src/log/embedded/groups.ts'
import { MemoryDisk } from '../../../support/memory-disk.ts'

const directory = '/log/groups'
const group = { name: 'g', tables: ['t'], start: 0, lanes: [5], attributes: {}, lost: false }

/** A disk that keeps, of what was not synced, nothing. */
async function diskWithGroup(): Promise<MemoryDisk> {
  const disk = new MemoryDisk({ random: () => 0 })
  await disk.makeDirectory(directory)
  await new Groups(disk, directory).define(group)
  return disk
}

async function recovered(disk: MemoryDisk): Promise<Groups> {
  const groups = new Groups(disk, directory)
  await groups.recover()
  return groups
}

test('a place that a killed process left in memory alone counts only once it is durable', async () => {
  const disk = await diskWithGroup()
  const first = await recovered(disk)
  await first.commit('g', 1, { lane: 0, next: 6 })
  disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
  await assert.rejects(first.commit('g', 1, { lane: 0, next: 9 }))
  disk.fault = () => undefined
  disk.kill()
  const seen = (await recovered(disk)).durable()[0]?.lanes
  disk.crash()
  assert.deepEqual((await recovered(disk)).durable()[0]?.lanes, seen)
})

test('a group whose name a killed process left in memory alone counts only once it is durable', async () => {
  const disk = new MemoryDisk({ random: () => 0 })
  await disk.makeDirectory(directory)
  disk.fault = (operation) => (operation === 'syncDirectory' ? 'EIO' : undefined)
  await assert.rejects(new Groups(disk, directory).define(group))
  disk.fault = () => undefined
  disk.kill()
  assert.equal((await recovered(disk)).durable().length, 1)
  disk.crash()
  assert.equal((await recovered(disk)).durable().length, 1)
})
