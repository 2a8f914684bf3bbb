import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferPool } from '../../../src/change/buffer-pool.ts'

test('what comes back is used again, and is overwritten before', () => {
  const pool = new BufferPool({ stepBytes: 100, freeMax: 2 })
  const first = pool.take(150)
  assert.equal(first.length, 200)
  first.fill(1)
  const part = first.subarray(10, 20)
  pool.give(part)
  assert(part.every((byte) => byte === 0xff))
  assert.notEqual(pool.take(201).buffer, first.buffer, 'it is too small')
  assert.equal(pool.take(120).buffer, first.buffer)
  assert.notEqual(pool.take(120).buffer, first.buffer, 'it is in use')
})

test('small buffers are not kept, nor more than so many', () => {
  const pool = new BufferPool({ stepBytes: 100, freeMax: 1 })
  const small = pool.take(99)
  assert.equal(small.length, 99)
  pool.give(small)
  assert.notEqual(pool.take(99).buffer, small.buffer)
  const [older, newer] = [pool.take(100), pool.take(100)]
  pool.give(older)
  pool.give(newer)
  assert.equal(pool.take(100).buffer, newer.buffer)
  assert.notEqual(pool.take(100).buffer, older.buffer)
})
