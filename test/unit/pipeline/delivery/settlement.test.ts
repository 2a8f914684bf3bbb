import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import type { Outcome } from '../../../../src/sink/sink.ts'
import { hostile, insert, Subject } from '../../../support/delivery-subject.ts'

const puzzling: Outcome = { kind: 'unknown', reason: 'null_pointer_exception', fingerprint: 'puzzle' }

/** The target fails on some ids without saying why, so often. */
function puzzledBy(subject: Subject, ids: readonly string[], times: number): void {
  const left = new Map(ids.map((id) => [id, times]))
  const sinkFor = subject.index.sinkFor.bind(subject.index)
  subject.index.sinkFor = (state) => {
    const sink = sinkFor(state)
    return {
      write: async (listed, signal) => {
        const operations = [...listed]
        const puzzles = operations.map(({ id }) => (left.get(id) ?? 0) > 0)
        const written = await sink.write(
          operations.filter((_, at) => puzzles[at] !== true),
          signal,
        )
        const outcomes = written[Symbol.iterator]()
        return operations.map(({ id }, at) => {
          if (puzzles[at] !== true) return outcomes.next().value ?? puzzling
          left.set(id, (left.get(id) ?? 0) - 1)
          return puzzling
        })
      },
    }
  }
}

test('what a target fails on without saying why becomes a dead letter while it takes others, and holds up nothing', async () => {
  const subject = await new Subject().begin()
  puzzledBy(subject, ['1'], 1_000)
  await subject.append([insert(1, 'a'), insert(2, 'b')])
  const delivery = await subject.delivery()
  const stop = new AbortController()
  const running = delivery.run(stop.signal)
  // Attempts count only beside documents that are taken.
  for (let id = 3; (await subject.letterIds()).length === 0; id++) {
    assert(id < 200)
    await subject.append([insert(id, 'more')])
    await subject.clock.advance(500)
  }
  await subject.clock.until(delivery.passed(subject.contents.records.length, stop.signal))
  stop.abort()
  await running
  for await (const letter of subject.log.deadLetters.list('items@main')) {
    assert.deepEqual([letter.id, letter.fingerprint, letter.attempts], ['1', 'puzzle', 3])
  }
  assert.equal(subject.documents()['2'], 'b')
})

test('a target that fails on everything is to blame itself: no dead letters, and all is written when it is well', async () => {
  const subject = await new Subject().begin()
  puzzledBy(subject, ['1', '2', '3'], 9)
  await subject.append([insert(1, 'a'), insert(2, 'b'), insert(3, 'c')])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 1: 'a', 2: 'b', 3: 'c' })
  assert.deepEqual(subject.facts.of('dead-letter'), [])
})

test('a document that waits for another try lets later versions of it pass, and is not written after them', async () => {
  const subject = await new Subject().begin()
  puzzledBy(subject, ['1'], 2)
  await subject.append([insert(1, hostile), insert(2, 'b')])
  await subject.append([insert(1, 'later')])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 1: 'later', 2: 'b' })
  assert.deepEqual(await subject.letterIds(), [])
})

test('a sink that answers for too few operations is a bug, and says so', async () => {
  const subject = await new Subject().begin()
  subject.index.sinkFor = () => ({ write: () => Promise.resolve([]) })
  await subject.append([insert(1, 'a')])
  await assert.rejects(
    subject.deliverAll(),
    (error) => !(error instanceof Failure) && /answers for each/.test(String(error)),
  )
})
