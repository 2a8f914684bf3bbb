import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Control } from '../../../../src/log/log.ts'
import { loadState, newLoad, withLoadState } from '../../../../src/pipeline/capture/load-state.ts'

const control: Control = { lineage: 'l', epoch: 1, seq: 9, lanes: 2, producers: { 'source:main': '7' } }

test('a load is kept beside the other producers, group by group', () => {
  const wanted = { table: 't', generation: 3, rowsEstimate: 5, reason: 'why', startedAtMs: 1 }
  const load = newLoad({ ...wanted, sweepBelow: 2n ** 60n + 1n })
  const producers = withLoadState(control.producers, 'p@main', load)
  assert.equal(producers['source:main'], '7')
  assert.deepEqual(loadState({ ...control, producers }, 'p@main'), load)
  assert.equal(loadState({ ...control, producers }, 'q@main'), undefined)
})

test('a load begins before the first row, and its version is kept with all its digits', () => {
  const wanted = { table: 't', generation: 1, rowsEstimate: 0, reason: 'why', startedAtMs: 1 }
  const load = newLoad({ ...wanted, sweepBelow: 2n ** 60n + 1n })
  assert.equal(load.sweepBelow, '1152921504606846977')
  assert.deepEqual([load.phase, load.after, load.rowsDone, load.until], ['reading', null, 0, null])
  assert.equal(newLoad({ ...wanted, sweepBelow: undefined }).sweepBelow, null)
})
