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
  await letters.settle(['1', '2'])
  await letters.layAside([letter('1', 5n)])
  await letters.settle(['2'])
  await letters.settle(['1'])
  assert.deepEqual(
    facts.of('dead-letters').map((fact) => [fact.group, fact.open]),
    [
      [group, 0],
      [group, 1],
      [group, 0],
    ],
  )
})
