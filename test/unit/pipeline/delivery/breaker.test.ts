import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Breaker } from '../../../../src/pipeline/delivery/breaker.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { hostile, insert, Subject } from '../../../support/delivery-subject.ts'

test('a share of documents that fail alike opens it, a few among many do not, nor do different failures', () => {
  const limits = { count: 100, share: 0.5 }
  const alike = new Breaker(limits)
  for (let at = 0; at < 99; at++) alike.refused('a')
  assert.equal(alike.open, undefined)
  alike.refused('a')
  assert.deepEqual(alike.open, { fingerprint: 'a', refused: 100, of: 100 })
  const few = new Breaker(limits)
  for (let at = 0; at < 2000; at++) {
    few.passed(99)
    few.refused('a')
  }
  assert.equal(few.open, undefined)
  const different = new Breaker(limits)
  for (let at = 0; at < 400; at++) different.refused(`kind ${at % 4}`)
  assert.equal(different.open, undefined)
})

test('what was long ago does not count for ever', () => {
  const breaker = new Breaker({ count: 100, share: 0.5 })
  breaker.passed(10_000_000)
  for (let at = 0; at < 20_000; at++) breaker.refused('a')
  assert.notEqual(breaker.open, undefined)
})

test('it never opens below its share of all that it was told', () => {
  const steps = fc.array(fc.tuple(fc.nat(10), fc.nat(10)), { maxLength: 100 })
  fc.assert(
    fc.property(steps, (told) => {
      const breaker = new Breaker({ count: 5, share: 0.6 })
      const sum = { passed: 0, refused: 0 }
      for (const [passed, refused] of told) {
        breaker.passed(passed)
        for (let at = 0; at < refused; at++) breaker.refused('a')
        sum.passed += passed
        sum.refused += refused
        const isWanted = sum.refused >= 5 && sum.refused >= 0.6 * (sum.passed + sum.refused)
        assert.equal(breaker.open !== undefined, isWanted)
      }
    }),
  )
})

test('a pipeline whose documents fail alike stops and names the way on; a few hostile ones do not stop it', async () => {
  const subject = await new Subject().begin()
  await subject.append(Array.from({ length: 90 }, (_, id) => insert(id, id % 3 === 0 ? hostile : 'well')))
  await subject.deliverAll({ requestCountMax: 30 })
  await subject.append(Array.from({ length: 500 }, (_, id) => insert(1000 + id, hostile)))
  await assert.rejects(
    subject.deliverAll({ requestCountMax: 30 }),
    (error) =>
      error instanceof Failure && error.kind === 'rejected' && /pipelines resume/.test(error.remedy ?? ''),
  )
  const letters = await subject.letterIds()
  assert(letters.length >= 80 && letters.length < 200, `${letters.length} letters`)
  // What was refused before fills no place when it is refused again.
  subject.contents.records.splice(90)
  await subject.append(letters.map((id) => insert(Number(id), hostile)))
  await subject.deliverAll({ requestCountMax: 30 })
})
