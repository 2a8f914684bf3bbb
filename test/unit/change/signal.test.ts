import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signal } from '../../../src/change/signal.ts'

const forever = new AbortController().signal

test('what happened between looking and waiting is not missed', async () => {
  const signal = new Signal()
  const seen = signal.count
  signal.notify()
  assert.equal(await signal.next(seen, forever), 1)
})

test('all who wait are woken by one happening, and none twice', async () => {
  const signal = new Signal()
  const waits = [signal.next(0, forever), signal.next(0, forever)]
  signal.notify()
  assert.deepEqual(await Promise.all(waits), [1, 1])
})

test('an abort ends a wait with its own reason', async () => {
  const signal = new Signal()
  const stop = new AbortController()
  const wait = signal.next(0, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(wait, /enough/)
  await assert.rejects(signal.next(0, stop.signal), /enough/)
})
