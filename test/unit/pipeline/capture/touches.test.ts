import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key } from '../../../../src/change/change.ts'
import { versionOf } from '../../../../src/pipeline/capture/numbering.ts'
import { CaptureSubject } from '../../../support/capture-subject.ts'

test('touches are numbered and addressed like any other record, in appends of bounded size', async () => {
  const subject = new CaptureSubject()
  subject.insert(1)
  const running = subject.feed().run(subject.stop.signal)
  await subject.clock.until(subject.captured())
  const table = subject.items
  const before = subject.contents.control?.seq ?? 0
  const keys = Array.from({ length: 2500 }, (_, id) => `[${id}]` as Key)
  const touched = await subject.clock.until(
    subject.capture.touch({ table, keys, addressee: 'items' }, subject.stop.signal),
  )
  assert.deepEqual(touched, { keys: 2500, until: subject.capture.next })
  assert.deepEqual(
    subject.facts.of('touched').map((fact) => fact.keys),
    [1000, 1000, 500],
  )
  const records = subject.contents.records.slice(-2500)
  assert.ok(
    records.every(({ addressee, entry: { change } }) => addressee === 'items' && change.op === 'touch'),
  )
  assert.deepEqual(
    records.map(({ entry }) => entry.change.key),
    keys,
  )
  assert.equal(records[0]?.entry.version, versionOf(5, before + 1))
  assert.equal(subject.contents.control?.seq, before + 2500)
  subject.stop.abort()
  await subject.clock.until(running)
  await assert.rejects(subject.capture.touch({ table, keys }, new AbortController().signal), /not running/)
})
