import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadLimits } from '../../../src/parts/limits.ts'
import { gigabyte, megabyte } from '../../../src/units.ts'
import { configurationOf } from '../../support/configured.ts'

test('what a load has in the log, undelivered and being read, leaves half of the log for the rest', (t) => {
  for (const ceilingGb of [0.001, 0.01, 50]) {
    const log = { ceilingGb, retentionGb: 0.001, segmentMb: 0.1 }
    const { settings, pipelines } = configurationOf(t, { orders: { table: 'shop.orders' } }, { log })
    const [pipeline] = pipelines
    assert(pipeline)
    const { undeliveredBytesMax, chunkBytes } = loadLimits(settings, pipeline.definition)
    assert(undeliveredBytesMax + chunkBytes <= (ceilingGb * gigabyte) / 2 + 1)
    assert(undeliveredBytesMax <= settings.load.undeliveredMb * megabyte)
    if (ceilingGb === 50) assert.equal(undeliveredBytesMax, settings.load.undeliveredMb * megabyte)
  }
})
