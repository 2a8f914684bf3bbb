import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costMeter } from '../../../src/offline/load-cost.ts'

test('work costs what the counters grew by, less what a look at them costs', async () => {
  const counted = { queries: 5, rowsExamined: 100, bytesSent: 1000 }
  const ask = (queries: number, rows: number): void => {
    counted.queries += queries
    counted.rowsExamined += rows
    counted.bytesSent += 10 * rows
  }
  const spent = await costMeter({
    cost: () => {
      const found = { ...counted }
      ask(1, 300)
      return Promise.resolve(found)
    },
  })
  ask(2, 50)
  assert.deepEqual(await spent(), { queries: 2, rowsExamined: 50, bytesSent: 500 })
  assert.deepEqual(await spent(), { queries: 0, rowsExamined: 0, bytesSent: 0 })
})

test('of a source without counters nothing is known', async () => {
  assert.equal(await (await costMeter({}))(), undefined)
})
