import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextTime, scheduleFault } from '../../../src/config/schedule.ts'

test('a schedule means its own time zone, over a change of its clocks too', () => {
  const nightly = { pattern: '0 3 * * *', timezone: 'Europe/Berlin' }
  const times = ['2026-03-27T12:00:00Z', '2026-03-28T12:00:00Z', '2026-03-29T12:00:00Z'].map((after) => {
    const next = nextTime(nightly, Date.parse(after))
    return next === undefined ? undefined : new Date(next).toISOString()
  })
  assert.deepEqual(times, [
    '2026-03-28T02:00:00.000Z',
    '2026-03-29T01:00:00.000Z',
    '2026-03-30T01:00:00.000Z',
  ])
})

test('a time that is due is not given again', () => {
  const atMs = Date.parse('2026-11-22T03:00:00Z')
  assert.equal(nextTime({ pattern: '0 3 * * *', timezone: 'UTC' }, atMs), atMs + 24 * 3_600_000)
})

test('what no clock can keep to is refused with the reason', () => {
  assert.equal(scheduleFault({ pattern: '*/5 * * * *', timezone: 'UTC' }), undefined)
  assert.match(scheduleFault({ pattern: '0 25 * * *', timezone: 'UTC' }) ?? '', /25/)
  assert.match(scheduleFault({ pattern: 'nightly', timezone: 'UTC' }) ?? '', /nightly/i)
  assert.match(scheduleFault({ pattern: '0 3 * * *', timezone: 'Europe/Nowhere' }) ?? '', /Europe\/Nowhere/)
  assert.match(scheduleFault({ pattern: '0 0 31 2 *', timezone: 'UTC' }) ?? '', /never comes/)
})
