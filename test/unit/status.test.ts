import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogAdmin } from '../../src/log/log.ts'
import { newLoad, withLoadState } from '../../src/pipeline/capture/load-state.ts'
import { statusOf } from '../../src/status.ts'
import { begunLog, insertOf, testTable } from '../support/changes.ts'
import { MemoryLog, MemoryLogContents } from '../support/memory-log.ts'

const group = 'orders@main'
const table = 'shop.orders'

test('who sees that all is delivered sees the load that the last change has asked for', async () => {
  const log = new MemoryLog(new MemoryLogContents(), () => 1_000)
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(testTable(table), 1)]))
  /** The change is delivered, and asks for a load, after status began to look. */
  const lag: LogAdmin['lag'] = async (name) => {
    const load = {
      table,
      generation: 1,
      rowsEstimate: 1,
      reason: 'a cascade',
      startedAtMs: 1,
      sweepBelow: 1n,
    }
    const batch = numbering.batch([])
    const { control } = batch
    const producers = withLoadState(control.producers, group, newLoad(load))
    await log.append({ ...batch, control: { ...control, producers } })
    for (let lane = 0; lane < control.lanes; lane++) await log.commit(name, lane, 1)
    return await log.lag(name)
  }
  const watched = new Proxy<MemoryLog>(log, {
    get: (target, name) => {
      if (name === 'lag') return lag
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  const { pipelines } = await statusOf({
    version: '1',
    nowMs: () => 2_000,
    startedAtMs: 1,
    board: undefined,
    sources: [{ name: 'main', log: watched, deadLetters: log.deadLetters, show: String }],
    pipelines: [{ name: 'orders', group, source: 'main', target: 'main', index: 'orders', table }],
    recent: () => Promise.resolve([]),
  })
  assert.deepEqual(
    pipelines.map(({ lagChanges, load }) => [lagChanges, load?.state]),
    [[0, 'reading']],
  )
})
