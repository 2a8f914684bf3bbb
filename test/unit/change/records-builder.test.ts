import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change } from '../../../src/change/change.ts'
import { Failure } from '../../../src/change/failure.ts'
import { joinedOrigins, originsBetween, transactionAt } from '../../../src/change/origins.ts'
import { RecordsBuilder, type Records } from '../../../src/change/records.ts'
import { insertOf, testTable } from '../../support/changes.ts'

const tables = ['shop.orders', 'shop.items', 'shop.größen'].map(testTable)

function fill(builder: RecordsBuilder, changes: number, first = 0): Change[] {
  const made = Array.from({ length: changes }, (_, index) =>
    insertOf(tables[index % tables.length] ?? testTable('shop.t'), first + index),
  )
  for (const change of made) builder.add(change)
  return made
}

test('runs that were finished stay as they are while the next ones are made, whatever their size', () => {
  const builder = new RecordsBuilder(1000)
  const runs: { readonly records: Records; readonly changes: readonly Change[] }[] = []
  for (const [at, size] of [1, 3, 20, 1, 500, 2, 30, 0, 1].entries()) {
    const changes = fill(builder, size, 1000 * at)
    runs.push({ records: builder.finish(), changes })
  }
  for (const { records, changes } of runs) {
    assert.equal(records.count, changes.length)
    assert.deepEqual([...records], changes)
  }
})

test('a few records keep no more memory than they take', () => {
  const builder = new RecordsBuilder(1024 * 1024)
  for (let run = 0; run < 10; run++) {
    fill(builder, 2)
    assert(builder.finish().bytes.buffer.byteLength < 100_000)
  }
})

test('a buffer that was given back is used again, and who still reads it finds no record in it', () => {
  const builder = new RecordsBuilder(2000)
  fill(builder, 40)
  const first = builder.finish()
  const { buffer } = first.bytes
  assert(buffer.byteLength === 2000, 'the buffer went out itself')
  builder.reuse(first)
  assert.throws(() => [...first], Failure)
  const changes = fill(builder, 40, 100)
  const second = builder.finish()
  assert.equal(second.bytes.buffer, buffer)
  assert.deepEqual([...second], changes)
})

test('what is no whole buffer of the builder is not taken back', () => {
  const builder = new RecordsBuilder(2000)
  const small = fill(builder, 1)
  const copied = builder.finish()
  builder.reuse(copied)
  const large = fill(builder, 500)
  const grown = builder.finish()
  builder.reuse(grown)
  fill(builder, 40, 9000)
  builder.finish()
  assert.deepEqual([...copied], small)
  assert.deepEqual([...grown], large)
})

test('a transaction goes on in the next records, and one without changes leaves no trace', () => {
  const builder = new RecordsBuilder(1000)
  builder.within('a:1')
  fill(builder, 2)
  builder.within('a:2')
  builder.within('a:3')
  const [record] = fill(builder, 1)
  assert.ok(record !== undefined)
  const [first, second] = [builder.finish(), (builder.add(record), builder.finish())]
  const placeOfThird = [...placesOf(first)].at(-1) ?? -1
  assert.deepEqual(first.origins, [
    { from: 0, transaction: 'a:1' },
    { from: placeOfThird, transaction: 'a:3' },
  ])
  assert.deepEqual(second.origins, [{ from: 0, transaction: 'a:3' }])
  builder.within('')
  builder.add(record)
  assert.deepEqual(builder.finish().origins, [{ from: 0, transaction: '' }])
  builder.add(record)
  assert.deepEqual(builder.finish().origins, [])
})

function* placesOf(records: Records): Generator<number> {
  for (const cursor = records.cursor(); cursor.next();) yield cursor.place
}

test('origins of a part and of parts joined are those of the records in them', () => {
  const lengths = fc.array(fc.nat(3), { minLength: 1, maxLength: 12 })
  const cuts = fc.array(fc.nat(11), { maxLength: 4 })
  fc.assert(
    fc.property(lengths, cuts, (transactions, at) => {
      const origins = transactions.map((number, from) => ({
        from,
        transaction: number === 0 ? '' : `t:${number}`,
      }))
      const bounds = [0, ...at.filter((each) => each < origins.length), origins.length].toSorted(
        (a, b) => a - b,
      )
      const runs = bounds.slice(1).map((to, index) => {
        const from = bounds[index] ?? 0
        return { bytes: Buffer.alloc(to - from), origins: originsBetween(origins, from, to) }
      })
      const joined = joinedOrigins(runs)
      for (const { from, transaction } of origins) assert.equal(transactionAt(joined, from), transaction)
    }),
  )
})
