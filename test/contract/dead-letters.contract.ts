/** What every keeper of dead letters keeps to. One suite, run over each implementation. */
import assert from 'node:assert/strict'
import type { DeadLetter, DeadLetters } from '../../src/log/log.ts'
import { rulesOf } from '../support/rules.ts'

export interface DeadLettersSubject {
  readonly deadLetters: DeadLetters
  /** Ends what keeps them without a word, and begins again. */
  readonly crash: () => Promise<DeadLetters>
  readonly close: () => Promise<void>
}

export function testDeadLetters(name: string, open: () => Promise<DeadLettersSubject>): void {
  const check = rulesOf(name, open)
  check('a letter comes back as it was put, deletes without a document', roundTrip)
  check('a later letter of an id replaces it, keeps the first time and adds the attempts', replacing)
  check('settled letters are gone, ids without a letter are ignored', settling)
  check('groups do not see each other', groups)
  check('what was put or settled survives a crash', survival)
  check('many letters come and go', many)
}

export function letterOf(id: string, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id,
    table: 'shop.orders',
    key: `[${id}]`,
    version: '281474976710657',
    op: 'index',
    reason: 'mapper_parsing_exception: field [größe]',
    fingerprint: 'mapper größe',
    attempts: 1,
    firstAtMs: 1000,
    lastAtMs: 1000,
    document: '{"größe":"東京"}',
    ...more,
  }
}

async function roundTrip({ deadLetters }: DeadLettersSubject): Promise<void> {
  const letters = [letterOf('1'), letterOf('ä/..%', { op: 'delete', document: undefined })]
  await deadLetters.put('a@main', letters)
  assert.deepEqual(await listed(deadLetters, 'a@main'), letters)
  assert.equal(await deadLetters.count('a@main'), 2)
}

async function replacing({ deadLetters }: DeadLettersSubject): Promise<void> {
  await deadLetters.put('a@main', [letterOf('1')])
  await deadLetters.put('a@main', [
    letterOf('1', { version: '281474976710660', attempts: 2, firstAtMs: 5000, lastAtMs: 5000 }),
    letterOf('2'),
    letterOf('2', { reason: 'again', firstAtMs: 6000, lastAtMs: 6000 }),
  ])
  assert.deepEqual(await listed(deadLetters, 'a@main'), [
    letterOf('1', { version: '281474976710660', attempts: 3, firstAtMs: 1000, lastAtMs: 5000 }),
    letterOf('2', { reason: 'again', attempts: 2, lastAtMs: 6000 }),
  ])
}

async function settling({ deadLetters }: DeadLettersSubject): Promise<void> {
  await deadLetters.settle('a@main', ['1'])
  await deadLetters.put('a@main', [letterOf('1'), letterOf('2'), letterOf('3')])
  await deadLetters.settle('a@main', ['2', 'unknown', '2'])
  assert.deepEqual(await listed(deadLetters, 'a@main'), [letterOf('1'), letterOf('3')])
  await deadLetters.put('a@main', [letterOf('2', { firstAtMs: 9 })])
  assert.equal((await listed(deadLetters, 'a@main')).find(({ id }) => id === '2')?.firstAtMs, 9)
}

async function groups({ deadLetters }: DeadLettersSubject): Promise<void> {
  await deadLetters.put('a@main', [letterOf('1')])
  assert.equal(await deadLetters.count('a@backup'), 0)
  await deadLetters.settle('a@backup', ['1'])
  assert.equal(await deadLetters.count('a@main'), 1)
}

async function survival({ deadLetters, crash }: DeadLettersSubject): Promise<void> {
  await deadLetters.put('a@main', [letterOf('1'), letterOf('2')])
  await deadLetters.settle('a@main', ['1'])
  const again = await crash()
  assert.deepEqual(await listed(again, 'a@main'), [letterOf('2')])
  await again.put('a@main', [letterOf('2')])
  const third = await crash()
  assert.deepEqual(await listed(third, 'a@main'), [letterOf('2', { attempts: 2 })])
}

async function many({ deadLetters, crash }: DeadLettersSubject): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const letters = Array.from({ length: 250 }, (_, id) => letterOf(String(id), { reason: `round ${round}` }))
    await deadLetters.put('a@main', letters)
    await deadLetters.settle(
      'a@main',
      letters.slice(10).map(({ id }) => id),
    )
  }
  const kept = await listed(await crash(), 'a@main')
  const ids = kept.map(({ id }) => Number(id)).toSorted((one, other) => one - other)
  assert.deepEqual(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert(kept.every(({ attempts, reason }) => attempts === 5 && reason === 'round 4'))
}

async function listed(deadLetters: DeadLetters, group: string): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for await (const letter of deadLetters.list(group)) letters.push(letter)
  return letters.toSorted((one, other) => (one.id < other.id ? -1 : 1))
}
