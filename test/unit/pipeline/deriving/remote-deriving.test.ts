import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import type { Group } from '../../../../src/log/log.ts'
import { RemoteDeriving } from '../../../../src/pipeline/deriving/remote-deriving.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const never = new AbortController().signal

test('that nothing is derived any more is heard of by those who deliver elsewhere', async () => {
  const clock = new VirtualClock()
  let attributes: Group['attributes'] = {}
  const log = {
    groups: () =>
      Promise.resolve([
        { name: 'orders/roots', tables: ['shop.lines'], lanes: [0], attributes, lost: false },
      ]),
  }
  const capture = { derive: () => Promise.resolve() }
  const fit = new RemoteDeriving({ pipeline: 'orders', capture, log, clock }).fit(never)
  await clock.advance(60_000)
  const failure = { kind: 'unsupported', message: 'a join column is gone', remedy: 'name another' }
  attributes = { failure: JSON.stringify(failure) }
  await assert.rejects(
    clock.until(fit),
    new Failure('unsupported', failure.message, { remedy: failure.remedy }),
  )
})
