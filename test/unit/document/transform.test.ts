import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Work } from '../../../src/document/enricher.ts'
import { transformed, transforming, type Transform } from '../../../src/document/transform.ts'
import { noEntries } from '../../../src/log/log.ts'
import { textBody, textOfBody } from '../../../src/sink/sink.ts'

function index(id: string, text: string): Work {
  const operation = { id, version: 7n, routing: undefined, repeatable: true, op: 'index' } as const
  return { at: 0, operation: { ...operation, body: textBody(text) } }
}

test('a transform gets exact values and gives the document; null is none', () => {
  const text = '{"big":12345678901234567890,"price":0.12345678901234567890,"name":"x"}'
  assert.equal(
    transformed((document) => document, text),
    text,
  )
  assert.equal(
    transformed(({ big }) => ({ next: (big as bigint) + 1n }), text),
    '{"next":12345678901234567891}',
  )
  assert.equal(
    transformed(() => null, text),
    undefined,
  )
})

/** Does what the id says. */
const transform: Transform = ({ id }) => {
  if (id === 1) throw new Error('row 17 is odd')
  if (id === 2) return undefined
  if (id === 3) return [1]
  if (id === 4) return Promise.resolve({})
  if (id === 5) return null
  return { id }
}

test('a document that the transform fails on, or makes nothing of, is refused; the others go on', async () => {
  const works = [1, 2, 3, 4, 5, 6].map((id) => index(String(id), `{"id":${id}}`))
  const out = [
    ...(await transforming(() => Promise.resolve(works), transform)(noEntries, new AbortController().signal)),
  ]
  assert.deepEqual(
    out.map(({ operation }) => {
      if (operation.remark !== undefined) return operation.remark.reason
      return operation.op === 'delete' ? 'delete' : textOfBody(operation.body)
    }),
    [
      'the transform failed: row 17 is odd',
      'the transform failed: transform gave nothing, not an object or null',
      'the transform failed: transform gave a list, not an object or null',
      'the transform failed: transform gave a promise, not an object or null',
      'delete',
      '{"id":6}',
    ],
  )
  assert.equal(out[0]?.operation.remark?.fingerprint, 'the transform failed: row 0 is odd')
})
