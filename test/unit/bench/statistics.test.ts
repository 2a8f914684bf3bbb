import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, percentile } from '../../bench/statistics.ts'

test('the median is the one in the middle, or the mean of the two there', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(median([7]), 7)
  assert.throws(() => median([]))
})

test('a percentile is a figure that was measured, by the nearest rank', () => {
  const figures = Array.from({ length: 100 }, (_, at) => 100 - at)
  assert.equal(percentile(figures, 50), 50)
  assert.equal(percentile(figures, 99), 99)
  assert.equal(percentile(figures, 100), 100)
  assert.equal(percentile(figures, 0), 1)
  assert.throws(() => percentile([], 50))
})
