import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watch } from '../../../src/pipeline/watch.ts'
import type { Headroom } from '../../../src/source/source.ts'
import { insertOf, Numbering, testTable } from '../../support/changes.ts'
import { Facts } from '../../support/facts.ts'
import { MemoryLog, MemoryLogContents } from '../../support/memory-log.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const forEver = (): Promise<Headroom> => Promise.resolve({ keptSeconds: undefined, behindBytes: 0 })

/** What a watch says of a source that keeps its stream so long, when capture is so far behind. */
async function watched(headroom: () => Promise<Headroom>, behindMs: number): Promise<Facts> {
  const clock = new VirtualClock()
  const facts = new Facts()
  const stop = new AbortController()
  const log = new MemoryLog(new MemoryLogContents(), () => clock.now())
  const parts = { source: 'main', log, clock, observe: facts.observe, groups: [], headroom }
  const watching = watch({ ...parts, capturedToMs: () => clock.now() - behindMs }, stop.signal)
  await clock.until(facts.until('retention'))
  await clock.advance(100)
  stop.abort(new Error('stopped'))
  await assert.rejects(watching)
  return facts
}

test('a source of which most of the time is used up is endangered before it loses anything', async () => {
  const headroom = { keptSeconds: 1000, behindBytes: 5 }
  const well = await watched(() => Promise.resolve(headroom), 700_000)
  assert.deepEqual(well.of('source-endangered'), [])
  const [fact] = well.of('retention')
  assert.deepEqual([fact?.sourceSeconds, fact?.behindBytes], [300, 5])
  const late = await watched(() => Promise.resolve(headroom), 850_000)
  const [warning] = late.of('source-endangered')
  assert.deepEqual([warning?.seconds, warning?.keptSeconds], [150, 1000])
})

test('a group is endangered when most of the time is used up for which the log keeps what it lacks', async () => {
  const group = 'orders@main'
  const endangered = async (keptMs: number | undefined): Promise<readonly (number | undefined)[]> => {
    const clock = new VirtualClock()
    const facts = new Facts()
    const stop = new AbortController()
    const log = new MemoryLog(new MemoryLogContents(), () => clock.now())
    log.keptMs = keptMs
    await log.tail()
    await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
    const change = { ...insertOf(testTable('shop.orders'), 1), committedAtMs: clock.now() }
    await log.append(new Numbering().batch([change]))
    await clock.advance(70_000)
    const known = { group, pipeline: 'orders', target: 'main', isPrimary: true }
    const parts = { source: 'main', log, clock, observe: facts.observe, groups: [known], headroom: forEver }
    const watching = watch({ ...parts, capturedToMs: () => clock.now() }, stop.signal)
    await clock.until(facts.until('lag'))
    stop.abort(new Error('stopped'))
    await assert.rejects(watching)
    return facts.of('group-endangered').map(({ share }) => share)
  }
  assert.deepEqual(await endangered(100_000), [0.7])
  assert.deepEqual(await endangered(200_000), [])
  assert.deepEqual(await endangered(undefined), [])
})

test('a source that does not answer, or keeps its stream for ever, is not endangered', async () => {
  const away = await watched(() => Promise.reject(new Error('away')), 850_000)
  const forever = await watched(forEver, 850_000)
  for (const facts of [away, forever]) assert.deepEqual(facts.of('source-endangered'), [])
})
