import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2 as librarysMurmur2 } from '@platformatic/kafka'
import * as fc from 'fast-check'
import { murmur2, partitionOf } from '../../../../src/log/kafka/partition.ts'

test('a key has the hash that other clients give it, however long it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ maxLength: 5 }), (key, behind) => {
      const bytes = Buffer.concat([key, behind])
      assert.equal(murmur2(bytes, key.length), librarysMurmur2(Buffer.from(key)))
    }),
    { numRuns: 1000 },
  )
})

test('keys go to partitions as the Java client of Kafka puts them', () => {
  // Of the tests of that client: org.apache.kafka.common.utils.UtilsTest.
  const hashes = { '21': -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536 }
  for (const [text, hash] of Object.entries(hashes)) {
    const key = Buffer.from(text)
    assert.equal(murmur2(key, key.length), hash)
    assert.equal(partitionOf(key, key.length, 7), (hash & 0x7fffffff) % 7)
  }
})
