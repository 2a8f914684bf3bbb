import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key } from '../../../../src/change/change.ts'
import { FanOuts } from '../../../../src/pipeline/deriving/fan-outs.ts'

const hot = { ascent: 0, values: [['1']] }
const page = (key: string) => ({ ...hot, after: key as Key })

test('work goes on where it was, also from its text', () => {
  const work = new FanOuts(undefined)
  work.add(hot)
  work.advance([page('[1000]')])
  const again = new FanOuts(work.text())
  assert.deepEqual(again.first(), page('[1000]'))
  again.advance([])
  assert.equal(again.count, 0)
  assert.equal(again.first(), undefined)
})

test('what comes up again while it is done is done once more, from the beginning, at the end', () => {
  const work = new FanOuts(undefined)
  work.add(hot)
  work.advance([page('[1000]')])
  assert.equal(work.repeats(hot), true)
  assert.equal(work.count, 1)
  work.advance([page('[2000]')])
  assert.deepEqual(work.first(), page('[2000]'))
  work.advance([])
  assert.deepEqual(work.first(), hot)
  work.advance([])
  assert.equal(work.count, 0)
})

test('several kinds of work take turns, page by page', () => {
  const work = new FanOuts(undefined)
  const other = { ascent: 1, values: [['2'], ['3']] }
  work.add(hot)
  work.add(other)
  work.advance([page('[1000]')])
  assert.deepEqual(work.first(), other)
  work.advance([])
  assert.deepEqual(work.first(), page('[1000]'))
})
