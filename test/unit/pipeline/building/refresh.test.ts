import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import type { Enricher } from '../../../../src/document/enricher.ts'
import { refresh } from '../../../../src/pipeline/building/refresh.ts'
import { documentsOf, definition, Process, table, World } from '../../../support/one-pipeline.ts'

const wanted = { group: 'items@main', table, rowsEstimate: 3, rowsPerSecond: undefined }

/** A world with three rows that are delivered; `seen` counts what was made of entries since it was last emptied. */
async function loaded() {
  const world = new World()
  for (const id of [1, 2, 3]) world.insert(id, `row ${id}`)
  const seen: string[] = []
  const { columns, enricher } = documentsOf(world, definition, 'auto')
  const counting: typeof enricher = (shown, admit) => {
    const inner: Enricher = enricher(shown, admit)
    return async (entries, signal) => {
      const works = await inner(entries, signal)
      for (const { operation } of works) seen.push(operation.id)
      return works
    }
  }
  const process = new Process(world, { columns, enricher: counting }).start()
  await world.clock.until(process.facts.until('load-finished'))
  seen.length = 0
  return { world, process, seen, parts: { capture: process.capture, clock: world.clock } }
}

test('a refresh makes every document anew, deletes none, and outlives the process', async () => {
  const { world, process, seen, parts } = await loaded()
  world.index.intrude('99', '{"id":99}')
  await world.clock.until(refresh(parts, wanted))
  const { generation, renewedAtMs } = process.capture.loadState('items@main') ?? {}
  await process.end()
  const next = new Process(world).start()
  await world.clock.until(next.facts.until('load-finished'))
  await world.clock.advance(1_000)
  assert.equal(next.facts.of('swept').length, 0)
  assert(world.index.documents().has('99'))
  assert.equal(next.capture.loadState('items@main')?.generation, generation)
  assert.equal(next.capture.loadState('items@main')?.renewedAtMs, renewedAtMs)
  await next.end()
  assert(seen.length <= 3)
})

test('it delivers each row once more, at its own pace', async () => {
  const { world, process, seen, parts } = await loaded()
  const startedAtMs = world.clock.now()
  await world.clock.until(refresh(parts, { ...wanted, rowsPerSecond: 0.1 }))
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === 2),
  )
  assert.deepEqual(seen.toSorted(), ['1', '2', '3'])
  assert(world.clock.now() - startedAtMs >= 20_000)
  await process.end()
})

test('while the table is being read, nothing is begun', async () => {
  const { world, process, parts } = await loaded()
  await world.clock.until(refresh(parts, { ...wanted, rowsPerSecond: 0.01 }))
  await assert.rejects(
    refresh(parts, wanted),
    (error) => error instanceof Failure && error.kind === 'conflict',
  )
  await process.end()
})
