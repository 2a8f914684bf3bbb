import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Position } from '../../../src/change/change.ts'
import { Divergence } from '../../../src/change/failure.ts'
import { epochOf } from '../../../src/pipeline/capture/numbering.ts'
import type { IndexState, Sink } from '../../../src/sink/sink.ts'
import { noWishes, Process, World } from '../../support/one-pipeline.ts'

test('a new pipeline makes its index, marks it, loads the table and follows it', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  world.insert(4, 'row 4')
  await world.clock.advance(5_000)
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3', 4: 'row 4' })
  const index = await world.index.inspect()
  assert.deepEqual(index?.mark, { pipeline: 'items', lineage: 'a lineage', epoch: 1 })
  assert.deepEqual(
    process.facts.of('pipeline-state').map(({ state }) => state),
    ['starting', 'loading', 'running'],
  )
  await process.end()
})

test('an index bears the mark of an epoch before its first document does', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const epochs: number[] = []
  const sinkFor = (state: IndexState): Sink => {
    const sink = world.index.sinkFor(state)
    return {
      write: async (operations, signal) => {
        const marked = (await world.index.inspect())?.mark?.epoch ?? 0
        for (const { version } of operations) {
          epochs.push(epochOf(version))
          assert(epochOf(version) <= marked, `epoch ${epochOf(version)} in an index of epoch ${marked}`)
        }
        return await sink.write(operations, signal)
      },
    }
  }
  const process = new Process(world, { sinkFor }).start()
  await world.clock.until(process.facts.until('load-finished'))
  let reads = 0
  process.suffer = (call) =>
    call === 'read' && reads++ === 0
      ? Promise.reject(new Divergence('gone', { resume: '3' as Position, undone: '' }))
      : Promise.resolve()
  world.insert(4, 'row 4')
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  await world.clock.advance(5_000)
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3', 4: 'row 4' })
  assert.equal((await world.index.inspect())?.mark?.epoch, 2)
  assert(epochs.includes(2))
  await process.end()
})

test('a process goes on where the one before it was, without another load', async () => {
  const world = new World()
  world.insert(1, 'row 1')
  const first = new Process(world).start()
  await world.clock.until(first.facts.until('load-finished'))
  await first.end()
  world.insert(2, 'row 2')
  const second = new Process(world).start()
  await world.clock.until(second.facts.until('committed'))
  await world.clock.advance(2_000)
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2' })
  assert.deepEqual(second.facts.of('load-started'), [])
  await second.end()
})

test('an index that goes while it is filled is made again and loaded', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  world.index.drop()
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3' })
  await process.end()
})

test('the load of an index that is made again is not forgotten where capture stops in between', async () => {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  let openings = 0
  process.opening = async () => {
    if (++openings > 1) return
    process.stopCapture()
    await world.clock.sleep(1, new AbortController().signal)
  }
  world.index.drop()
  await world.clock.until(
    process.facts.until('restarting', ({ failure }) => /not running/.test(failure.message)),
  )
  process.startCapture()
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  assert.deepEqual(world.documents(), { 1: 'row 1', 2: 'row 2', 3: 'row 3' })
  await process.end()
})

test('what is read anew still delivers what was not delivered: a late request finds its document deleted', async () => {
  const world = new World()
  world.insert(1, 'row 1')
  const first = new Process(world).start()
  await world.clock.until(first.facts.until('load-finished'))
  const late = Promise.withResolvers<void>()
  let requests = 0
  world.index.fault = () =>
    requests++ === 0 ? { kind: 'stray', until: late.promise } : { kind: 'refused', failure: 'transient' }
  world.insert(2, 'row 2')
  await world.clock.until(first.facts.until('target-waiting'))
  world.delete(2)
  await world.clock.advance(100)
  await first.end()
  world.index.fault = () => undefined
  const second = new Process(world, { wishes: { ...noWishes, reload: true } }).start()
  await world.clock.until(second.facts.until('load-finished'))
  late.resolve()
  await world.clock.advance(100)
  assert.deepEqual(world.documents(), { 1: 'row 1' })
  await second.end()
})

test('a wish to read everything anew holds once: when the pipeline is started again it goes on', async () => {
  const world = new World()
  world.insert(1, 'row 1')
  const process = new Process(world, { wishes: { ...noWishes, reload: true } }).start()
  await world.clock.until(process.facts.until('load-finished'))
  process.stopCapture()
  await world.clock.advance(10)
  process.startCapture()
  await world.clock.advance(60_000)
  assert.equal(process.facts.of('load-started').length, 1)
  await process.end()
})
