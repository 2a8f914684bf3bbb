import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { sweep } from '../../../../src/pipeline/load/sweep.ts'
import { hostile, insert, Subject } from '../../../support/delivery-subject.ts'

const forever = new AbortController().signal
const version = (seq: number): bigint => (1n << 48n) | BigInt(seq)

/** Documents 1 to 5 with the versions 1 to 5. */
async function filled(): Promise<Subject> {
  const subject = await new Subject().begin()
  await subject.append([1, 2, 3, 4, 5].map((id) => insert(id, `row ${id}`)))
  await subject.deliverAll()
  return subject
}

function swept(subject: Subject, below: bigint): ReturnType<typeof sweep> {
  const { index, letters, clock, state } = subject
  if (state === undefined) throw new Error('there is no index')
  const parts = { index, sink: index.sinkFor(state), letters, clock, highestVersion: () => version(5) }
  return clock.until(sweep(parts, { below, keepsRefused: true }, forever))
}

test('documents that the load did not renew are deleted, below the load', async () => {
  const subject = await filled()
  assert.deepEqual(await swept(subject, version(4)), { scanned: 5, deleted: 3 })
  assert.deepEqual(Object.keys(subject.documents()), ['4', '5'])
})

test('a document that is written while the sweep is under way stays', async () => {
  const subject = await filled()
  await subject.index.refresh()
  subject.index.fault = () => {
    subject.index.intrude('1', '{"name":"back again"}', version(5))
    return undefined
  }
  assert.deepEqual(await swept(subject, version(4)), { scanned: 5, deleted: 2 })
  assert.equal(subject.documents()['1'], 'back again')
})

test('deletes for which there was no room are sent again', async () => {
  const subject = await filled()
  let requests = 0
  subject.index.fault = () => (requests++ < 3 ? { kind: 'partial', written: 1 } : undefined)
  assert.equal((await swept(subject, version(5))).deleted, 4)
  assert.deepEqual(Object.keys(subject.documents()), ['5'])
})

test('a row whose new version was refused keeps its last good document; a letter without a row is settled', async () => {
  const subject = await filled()
  await subject.append([insert(1, hostile)])
  await subject.deliverAll()
  await subject.append([insert(2, hostile)])
  await subject.deliverAll()
  await subject.clock.until(
    sweep(
      {
        index: subject.index,
        sink: subject.index.sinkFor({ uuid: subject.state?.uuid ?? '' }),
        letters: subject.letters,
        clock: subject.clock,
        highestVersion: () => version(7),
      },
      { below: version(7), keepsRefused: true },
      forever,
    ),
  )
  assert.deepEqual(subject.documents(), { 2: 'row 2' })
  assert.deepEqual(await subject.letterIds(), ['2'])
})

test('a version that this log never gave stops the sweep before anything is deleted', async () => {
  const subject = await filled()
  subject.index.intrude('9', '{}', version(6))
  await assert.rejects(
    swept(subject, version(5)),
    (error) => error instanceof Failure && error.kind === 'conflict' && error.remedy !== undefined,
  )
  assert.equal(subject.index.documents().size, 6)
})
