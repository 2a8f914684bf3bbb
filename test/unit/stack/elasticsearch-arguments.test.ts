import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { count, encodeServerArguments } from '../../stack/elasticsearch-arguments.ts'

test('counts are written in groups of seven bits, low first', () => {
  const expected: readonly (readonly [number, readonly number[]])[] = [
    [0, [0]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [300, [0xac, 0x02]],
    [2 ** 31 - 1, [0xff, 0xff, 0xff, 0xff, 0x07]],
  ]
  for (const [value, bytes] of expected) assert.deepEqual([...count(value)], bytes, String(value))
  assert.throws(() => count(-1))
})

test('the server arguments are flags, key store, settings in the order of their names, and two folders', () => {
  const encoded = encodeServerArguments({
    configDirectory: '/c',
    logsDirectory: '/é',
    settings: { 'b.b': '2', a: '1' },
    seed: 'seed',
  })
  const reader = new Reader(encoded)
  assert.deepEqual([...reader.take(3)], [0, 0, 0])
  assert.equal(reader.text(), 'org.elasticsearch.common.settings.KeyStoreWrapper')
  assert.deepEqual([...reader.take(6)], [0, 0, 0, 7, 0, 0])
  assert.deepEqual([...reader.take(1)], [1])
  assert.equal(reader.text(), 'keystore.seed')
  assert.equal(Buffer.from(reader.take(reader.byte())).toString(), 'seed')
  assert.deepEqual(Buffer.from(reader.take(reader.byte())), createHash('sha256').update('seed').digest())
  assert.equal(reader.byte(), 0)
  assert.equal(reader.byte(), 2)
  assert.deepEqual([reader.text(), reader.byte(), reader.text()], ['a', 0, '1'])
  assert.deepEqual([reader.text(), reader.byte(), reader.text()], ['b.b', 0, '2'])
  assert.equal(reader.text(), '/c')
  // The length of a string counts UTF-16 units, not bytes: "/é" is 2 units in 3 bytes.
  assert.deepEqual([...reader.rest()], [2, ...Buffer.from('/é')])
})

test('every stack has a key store of its own', () => {
  const server = { configDirectory: '/c', logsDirectory: '/l', settings: {} }
  assert.notDeepEqual(encodeServerArguments(server), encodeServerArguments(server))
})

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(length: number): Uint8Array {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  byte(): number {
    return this.take(1)[0] ?? -1
  }

  text(): string {
    return Buffer.from(this.take(this.byte())).toString()
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at)
  }
}
