import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter } from '../../../../src/log/log.ts'
import { group, Subject } from '../../../support/delivery-subject.ts'

function letter(id: string, version: bigint): DeadLetter {
  return {
    id,
    table: 'shop.items',
    key: `[${id}]`,
    version: String(version),
    op: 'index',
    reason: 'refused',
    fingerprint: 'refused',
    attempts: 1,
    firstAtMs: 0,
    lastAtMs: 0,
    document: '{}',
  }
}

test('after a load, letters older than it are of rows that are gone; the others are kept', async () => {
  const subject = await new Subject().begin()
  await subject.letters.begin()
  await subject.letters.layAside([letter('1', 5n), letter('2', 9n), letter('3', 10n)])
  assert.deepEqual(await subject.letters.settleBelow(10n), new Set(['3']))
  assert.deepEqual(await subject.letterIds(), ['3'])
})

test('a letter that is replaced while older ones are settled stays', async () => {
  const subject = await new Subject().begin()
  const { letters } = subject
  await letters.begin()
  await letters.layAside([letter('1', 5n)])
  const [kept] = await Promise.all([letters.settleBelow(10n), letters.layAside([letter('1', 12n)])])
  assert.deepEqual(kept, new Set())
  assert.deepEqual(await subject.letterIds(), ['1'])
})

test('nobody is asked to settle while nothing is open, and each new count is said once', async () => {
  const subject = await new Subject().begin()
  const { letters, facts } = subject
  await letters.begin()
  await letters.settle([{ id: '1' }, { id: '2' }])
  await letters.layAside([letter('1', 5n)])
  await letters.settle([{ id: '2' }])
  await letters.settle([{ id: '1' }])
  assert.deepEqual(
    facts.of('dead-letters').map((fact) => [fact.group, fact.open]),
    [
      [group, 0],
      [group, 1],
      [group, 0],
    ],
  )
})

test('what was there already in the version of a letter does not settle it, what came after it does', async () => {
  const subject = await new Subject().begin()
  const { letters } = subject
  await letters.begin()
  await letters.layAside([letter('1', 5n), letter('2', 5n), letter('3', 5n)])
  await letters.settle([{ id: '1', notOf: 5n }, { id: '2', notOf: 6n }, { id: '3' }])
  assert.deepEqual(await subject.letterIds(), ['1'])
})

test('whoever takes over a lane settles what another process has put aside there', async () => {
  const subject = await new Subject().begin()
  const { letters, log } = subject
  await letters.begin()
  await log.deadLetters.put(group, [letter('1', 5n)])
  assert(letters.areNone)
  letters.doubt()
  assert(!letters.areNone)
  await letters.settle([{ id: '1' }])
  assert.deepEqual(await subject.letterIds(), [])
})
