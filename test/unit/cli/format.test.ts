import assert from 'node:assert/strict'
import { test } from 'node:test'
import { showBytes, showCount, showDuration } from '../../../src/cli/format.ts'
import { tableOf } from '../../../src/cli/table.ts'

test('counts, durations and sizes are written as people read them', () => {
  assert.deepEqual([0, 999, 1000, 1_234_567].map(showCount), ['0', '999', '1,000', '1,234,567'])
  assert.deepEqual([0, 0.42, 59.6, 60, 3600, 90_061].map(showDuration), [
    '0 s',
    '0.4 s',
    '1 min',
    '1 min',
    '1 h',
    '1 d 1 h',
  ])
  assert.deepEqual([812, 1500, 64_000_000, 50e9, 5e12].map(showBytes), [
    '812 B',
    '1.5 kB',
    '64 MB',
    '50 GB',
    '5 TB',
  ])
})

test('columns are aligned, numbers at the right, and no line ends in spaces', () => {
  const columns = [
    { title: 'NAME', text: (row: [string, number]) => row[0] },
    { title: 'COUNT', text: (row: [string, number]) => String(row[1]), right: true },
    { title: 'NOTE', text: () => '' },
  ]
  assert.deepEqual(
    tableOf(columns, [
      ['Köln', 7],
      ['Berlin', 1234],
    ]),
    ['NAME    COUNT  NOTE', 'Köln        7', 'Berlin   1234'],
  )
})
