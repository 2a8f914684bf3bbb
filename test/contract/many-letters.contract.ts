/** A place of very many dead letters, whatever keeps them. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { DeadLetters } from '../../src/log/log.ts'
import { letter, letterOffice } from '../support/letter-office.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function livingMegabytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed / 2 ** 20
}

export function testManyLetters(name: string, open: (t: TestContext) => Promise<DeadLetters>): void {
  test(`${name}: a place of 100,000 letters is listed and redriven in little memory`, async (t) => {
    const count = 100_000
    let halfway = Infinity
    const { deadLetters, operations, touched } = await letterOffice(
      t,
      (keys) => {
        if (keys === count / 2) halfway = livingMegabytes()
      },
      open,
    )
    const empty = livingMegabytes()
    for (let from = 0; from < count; from += 5000) {
      const ids = Array.from({ length: 5000 }, (_, at) => from + at)
      await deadLetters.put(
        'orders@primary',
        ids.map((id) => letter(id, `kind ${id % 3}`)),
      )
    }
    const before = livingMegabytes()
    const kinds = await operations.letterKinds({})
    assert.deepEqual(
      kinds.map((kind) => kind.count),
      [33_334, 33_333, 33_333],
    )
    assert.equal((await operations.redriveLetters({ pipeline: 'orders' })).letters, count)
    assert.equal(touched.keys.length, count)
    // Their documents alone are 35 MB.
    assert(halfway - before < 15, `${halfway - before} MB`)
    assert(before - empty < 30, `${before - empty} MB`)
    assert.equal((await operations.dropLetters({ pipeline: 'orders' })).letters, count)
    assert.equal(await deadLetters.count('orders@primary'), 0)
  })
}
