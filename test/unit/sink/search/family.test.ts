import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isExpired } from '../../../../src/sink/search/family.ts'

const nowMs = Date.UTC(2026, 1, 10)

function expired(format: string, keep: number | undefined, ...periods: readonly string[]): readonly string[] {
  const place = { prefix: 'visits-', format, keep }
  return periods.filter((period) => isExpired(place, `visits-${period}`, nowMs))
}

test('so many periods are kept, the present one among them, across the turn of a year', () => {
  assert.deepEqual(expired('YYYY_MM', 3, '2025_11', '2025_12', '2026_01', '2026_02', '2026_03'), ['2025_11'])
  assert.deepEqual(expired('YYYY', 1, '2025', '2026', '2027'), ['2025'])
  assert.deepEqual(expired('YYYY-MM-DD', 12, '2026-01-29', '2026-01-30', '2026-02-10'), ['2026-01-29'])
  assert.deepEqual(expired('YYYY_MM', undefined, '1970_01'), [])
})

test('what bears no period has no age', () => {
  assert.deepEqual(expired('YYYY_MM', 1, 'undated', '000001', 'old', ''), [])
  assert.equal(isExpired({ prefix: 'visits-', format: 'YYYY_MM', keep: 1 }, 'other-2020_01', nowMs), false)
})
