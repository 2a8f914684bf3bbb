import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FreshnessGauge } from '../../demo/freshness.ts'

const line = (bound: string, count: number): string =>
  `millrace_end_to_end_latency_seconds_bucket{le="${bound}",pipeline="cities",target="primary"} ${count}`

/** How many took at most 10 ms, 100 ms and any time. */
function metrics(fast: number, slow: number, all: number): string {
  return ['# HELP something', line('0.01', fast), line('0.1', slow), line('+Inf', all), 'other 7'].join('\n')
}

test('freshness is that of the last seconds, spread evenly within a bucket', () => {
  const gauge = new FreshnessGauge()
  assert.equal(gauge.observe(metrics(1000, 1000, 1000), 0), undefined)
  // Since then 100 more: 50 within 10 ms, 50 within 100 ms.
  const freshness = gauge.observe(metrics(1050, 1100, 1100), 500)
  assert.equal(Math.round(freshness?.p50Ms ?? 0), 10)
  assert.equal(Math.round(freshness?.p99Ms ?? 0), 98)
  // Ten seconds later only what came after counts.
  gauge.observe(metrics(1050, 1100, 1100), 10_000)
  const later = gauge.observe(metrics(1150, 1200, 1200), 20_400)
  assert.equal(Math.round(later?.p99Ms ?? 0), 10)
})

test('what is beyond the last bound is shown as that bound', () => {
  const gauge = new FreshnessGauge()
  gauge.observe(metrics(0, 0, 0), 0)
  assert.equal(gauge.observe(metrics(0, 0, 10), 500)?.p99Ms, 100)
})
