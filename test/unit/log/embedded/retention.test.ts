import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { checkLimits, judgeOldest } from '../../../../src/log/embedded/retention.ts'
import { segmentAt, type WrittenSegment } from '../../../../src/log/embedded/segment.ts'

const limits = { retentionBytes: 250, retentionMs: 1000, ceilingBytes: 500 }

/** Segments of 100 bytes and 10 records, one appended every 100 ms. */
function segments(count: number): WrittenSegment[] {
  return Array.from({ length: count }, (_, at) => ({
    ...segmentAt('/log', at * 10, at + 1),
    bytes: 100,
    firstAppendedAtMs: at * 100,
  }))
}

test('what all have delivered goes when the log is over its size', () => {
  assert.equal(judgeOldest(segments(3), limits, { delivered: 10, nowMs: 300 }), 'delivered')
  assert.equal(judgeOldest(segments(2), limits, { delivered: 20, nowMs: 300 }), 'stays')
})

test('what all have delivered goes when all of the segment is over its age', () => {
  assert.equal(judgeOldest(segments(2), limits, { delivered: 20, nowMs: 1100 }), 'stays')
  assert.equal(judgeOldest(segments(2), limits, { delivered: 20, nowMs: 1101 }), 'delivered')
})

test('what a group still needs stays until the ceiling, and goes beyond it', () => {
  assert.equal(judgeOldest(segments(5), limits, { delivered: 9, nowMs: 9999 }), 'stays')
  assert.equal(judgeOldest(segments(6), limits, { delivered: 9, nowMs: 9999 }), 'needed')
  assert.equal(judgeOldest(segments(6), limits, { delivered: 10, nowMs: 0 }), 'delivered')
})

test('without groups nobody needs anything', () => {
  assert.equal(
    judgeOldest(segments(3), limits, { delivered: Number.POSITIVE_INFINITY, nowMs: 0 }),
    'delivered',
  )
})

test('the segment with the last control record stays, however large and old', () => {
  const [only] = segments(1).map((segment) => ({ ...segment, bytes: 1e6 }))
  assert(only !== undefined)
  const state = { delivered: 1e9, nowMs: 1e9 }
  assert.equal(judgeOldest([only], limits, state), 'stays')
  const empty = { ...segmentAt('/log', 10, 2), bytes: 0, firstAppendedAtMs: undefined }
  assert.equal(judgeOldest([only, empty], limits, state), 'stays')
})

test('keeping more than the ceiling is a contradiction', () => {
  assert.throws(() => checkLimits({ ...limits, retentionBytes: 501 }), Failure)
})
