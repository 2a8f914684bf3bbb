import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseGtidSet } from '../../../../../src/source/mysql/gtid/gtid-set.ts'
import { XaEnds } from '../../../../../src/source/mysql/transactions/xa-ends.ts'

const wanted = parseGtidSet('0-1-10')
const [unread, old] = [6_000, 0]

function readingSince(beganAtMs: number, executed = '0-1-20'): XaEnds {
  const ends = new XaEnds()
  ends.begin(() => parseGtidSet(executed), beganAtMs)
  return ends
}

test('of the branches that are prepared, a read waits for those whose COMMIT was read', () => {
  const ends = readingSince(old)
  const moment = { nowMs: unread, hasSinceMs: unread }
  ends.committed('a:b:1')
  assert.deepEqual(ends.unsettled(['a:b:1', 'c::1'], wanted, moment), ['a:b:1'])
  assert.deepEqual(ends.unsettled(['c::1'], wanted, moment), [])
  ends.prepared('a:b:1')
  assert.deepEqual(ends.unsettled(['a:b:1', 'c::1'], wanted, moment), [])
})

test('where COMMITs may not have been read, it waits for all that are prepared, for a while', () => {
  const moment = { nowMs: unread, hasSinceMs: unread }
  const stopped = readingSince(old)
  stopped.stop()
  for (const ends of [new XaEnds(), stopped, readingSince(unread), readingSince(old, '0-1-9')]) {
    assert.deepEqual(ends.unsettled(['c::1'], wanted, moment), ['c::1'])
    assert.deepEqual(ends.unsettled(['c::1'], wanted, { ...moment, hasSinceMs: 1_000 }), [])
  }
})

test('so many COMMITs are remembered, the newest', () => {
  const ends = readingSince(old)
  for (let at = 0; at <= 10_000; at++) ends.committed(`${at}::1`)
  const moment = { nowMs: unread, hasSinceMs: unread }
  assert.deepEqual(ends.unsettled(['0::1', '1::1', '10000::1'], wanted, moment), ['1::1', '10000::1'])
})
