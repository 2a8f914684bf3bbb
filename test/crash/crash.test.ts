import assert from 'node:assert/strict'
import test from 'node:test'
import { crashRun } from './crash.ts'

test(
  'no kill loses a change, doubles one, or takes a document back',
  { timeout: 600_000 },
  async (context) => {
    const result = await crashRun({
      kills: 15,
      seed: 7,
      rows: 8000,
      report: (line) => context.diagnostic(line),
    })
    assert.deepEqual(result.faults, [])
    assert(result.changes > 0 && result.rows > 0 && result.versionsSeen > 0)
  },
)
