import assert from 'node:assert/strict'
import { test } from 'node:test'
import { laneHash, laneSeed } from '../../../../src/log/embedded/lane.ts'

function hashOf(table: string, key: string): number {
  const bytes = Buffer.from(key, 'utf8')
  return laneHash(laneSeed(table), bytes, 0, bytes.length)
}

test('the lane of a key is fixed for ever', () => {
  assert.equal(hashOf('shop.orders', '[1]'), 868882272)
  assert.equal(hashOf('shop.orders', '["de","Köln"]'), 1456620188)
  assert.equal(hashOf('shop.größen', '[1]'), 3577305811)
})

test('a key is hashed where it stands among other bytes', () => {
  assert.equal(laneHash(laneSeed('a.b'), Buffer.from('xx[42]yy'), 2, 6), hashOf('a.b', '[42]'))
})

test('consecutive keys spread over the lanes evenly', () => {
  for (const lanes of [2, 3, 8, 12, 64]) {
    const counts = Array.from({ length: lanes }, () => 0)
    for (let id = 0; id < 64_000; id++) {
      const lane = hashOf('shop.orders', `[${id}]`) % lanes
      counts[lane] = (counts[lane] ?? 0) + 1
    }
    const expected = 64_000 / lanes
    for (const count of counts)
      assert(Math.abs(count - expected) < 0.15 * expected, `${count} of ${expected}`)
  }
})
