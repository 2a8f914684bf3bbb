import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecordsBatch, Reader, readRecordsBatch } from '@platformatic/kafka'
import * as fc from 'fast-check'
import { algorithms, type Compression } from '../../../../src/log/kafka/algorithms.ts'
import { Fetched } from '../../../../src/log/kafka/committed-records.ts'
import { batchAt, type FetchedRecord } from '../../../../src/log/kafka/fetched-batch.ts'
import { HeaderReader } from '../../../../src/log/kafka/header-reader.ts'
import { alikeBytes, readHeaders, VersionDigits } from '../../../../src/log/kafka/headers.ts'
import { BatchBuilder } from '../../../../src/log/kafka/record-batch.ts'

const compressions: readonly Compression[] = ['none', 'lz4', 'zstd', 'gzip', 'snappy']
const place = { topic: 'orders', partition: 0 }
const noHeaders = Buffer.from([0])

const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((each) => Buffer.from(each))
const pairs = fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 20 })

test('a batch that another client made is read as it was meant', () => {
  fc.assert(
    fc.property(
      pairs,
      fc.constantFrom(...compressions),
      fc.boolean(),
      (messages, compression, hasHeaders) => {
        const headers = new Map(hasHeaders ? [[Buffer.from('version'), Buffer.from('7')]] : [])
        const made = createRecordsBatch(
          messages.map(([key, value], at) => ({
            ...place,
            key,
            value,
            headers,
            timestamp: BigInt(100 + at),
          })),
          { compression },
        )
        const records = recordsOf(made.buffer)
        assert.deepEqual(
          records.map(({ key, value, offset, appendedAtMs }) => ({ key, value, offset, appendedAtMs })),
          messages.map(([key, value], at) => ({ key, value, offset: BigInt(at), appendedAtMs: 100 + at })),
        )
        assert.deepEqual(recordsOf(made.buffer, 3n), records.slice(3))
        assert.deepEqual(batchAt(made.buffer, 0)?.last(), records.at(-1))
        if (hasHeaders) assert(records.every((record) => readHeaders(record).seq === 7))
      },
    ),
  )
})

test('a batch of ours is read by another client, and by us, as it was meant', () => {
  fc.assert(
    fc.property(pairs, fc.constantFrom(...compressions), (messages, compression) => {
      const builder = new BatchBuilder()
      for (const [key, value] of messages) builder.add(key, value, noHeaders)
      builder.add(Buffer.from('gone'), undefined, noHeaders)
      const batch = sealed(builder, { compression })
      const expected = [...messages, [Buffer.from('gone'), null]]
      const theirs = readRecordsBatch(Reader.from(batch))
      assert.deepEqual(
        theirs.records.map(({ key, value }) => [key, value]),
        expected,
      )
      assert.deepEqual(
        recordsOf(batch).map(({ key, value }) => [key, value]),
        expected,
      )
    }),
  )
})

test('headers are read alike whether they are compared with those before or read anew', () => {
  const form = fc.record({
    op: fc.constantFrom('c', 'u'),
    fingerprint: fc.constantFrom('00', '11'),
    addressee: fc.constantFrom('', 'orders@main'),
    jsonNulls: fc.constantFrom('', 'a3,'),
    gtid: fc.constantFrom('', 'uuid:1', 'uuid:2'),
  })
  const numbered = fc.record({
    form,
    epoch: fc.constantFrom(1, 2, 32_767),
    seq: fc.nat({ max: 2 ** 48 - 1 }),
  })
  fc.assert(
    fc.property(fc.array(numbered), (all) => {
      const builder = new BatchBuilder()
      const digits = new VersionDigits()
      for (const each of all) {
        const alike = alikeBytes({ ...each.form, epoch: each.epoch })
        builder.add(
          Buffer.from('k'),
          Buffer.from('v'),
          Buffer.concat([alike, digits.next(each.epoch, each.seq)]),
        )
      }
      const reader = new HeaderReader()
      for (const [at, record] of recordsOf(sealed(builder, { compression: 'none' })).entries()) {
        reader.read(record)
        const { version, ...read } = readHeaders(record)
        assert.deepEqual({ ...reader.form, epoch: reader.epoch, seq: reader.seq }, read)
        assert.equal(reader.version, version)
        assert.deepEqual(read, { ...all[at]?.form, epoch: all[at]?.epoch, seq: all[at]?.seq })
      }
    }),
  )
})

test('a batch whose bytes were changed is refused', () => {
  const builder = new BatchBuilder()
  builder.add(Buffer.from('key'), Buffer.from('value'), noHeaders)
  const batch = sealed(builder, { compression: 'lz4' })
  batch[batch.length - 1] = (batch.at(-1) ?? 0) ^ 1
  assert.throws(() => recordsOf(batch), /does not fit its checksum/)
})

test('all undone transactions of a producer are left out, and those that were finished between are not', () => {
  const one = { id: 7n, epoch: 0 }
  const batches = [
    ['a', one, 0],
    [abortMarker, one, 1],
    ['b', one, 2],
    [commitMarker, one, 3],
    ['other', { id: 8n, epoch: 0 }, 4],
    ['c', one, 5],
    [abortMarker, one, 6],
    ['d', one, 7],
  ] as const
  const read = new Fetched(place, 0n, {
    partition: 0,
    highWatermark: 9n,
    logStartOffset: 0n,
    // In no order that one could rely on.
    abortedTransactions: [
      { producerId: 7n, firstOffset: 5n },
      { producerId: 7n, firstOffset: 0n },
    ],
    batches: Buffer.concat(
      batches.map(([content, producer, offset]) => {
        const builder = new BatchBuilder()
        const isMarker = typeof content !== 'string'
        builder.add(isMarker ? content : Buffer.from(content), Buffer.from('-'), noHeaders)
        return sealed(builder, { compression: 'none', producer, offset, isMarker })
      }),
    ),
  })
  assert.deepEqual(
    read.records.map(({ key }) => key.toString()),
    ['b', 'other', 'd'],
  )
  assert.equal(read.next, 8n)
})

const abortMarker = Buffer.from([0, 0, 0, 0])
const commitMarker = Buffer.from([0, 0, 0, 1])

function sealed(
  builder: BatchBuilder,
  {
    compression,
    producer,
    offset = 0,
    isMarker = false,
  }: {
    readonly compression: Compression
    readonly producer?: { readonly id: bigint; readonly epoch: number }
    readonly offset?: number
    readonly isMarker?: boolean
  },
): Buffer {
  const batch = builder.finish({
    producer,
    firstSequence: 0,
    appendedAtMs: 5,
    // As brokers mark what ends a transaction.
    compressionBits: algorithms.compressionBits(compression) | (isMarker ? 32 : 0),
    compress: (packed) => (compression === 'none' ? packed : algorithms.compress(compression, packed)),
    crc: algorithms.crc,
  })
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

function recordsOf(batch: Buffer, from = 0n): readonly FetchedRecord[] {
  const answer = {
    partition: 0,
    highWatermark: 0n,
    logStartOffset: 0n,
    abortedTransactions: [],
    batches: batch,
  }
  return new Fetched(place, from, answer).records
}
