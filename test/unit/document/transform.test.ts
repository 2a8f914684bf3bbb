import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import type { Work } from '../../../src/document/enricher.ts'
import {
  transformed,
  transforming,
  type Transform,
  type Transformer,
} from '../../../src/document/transform.ts'
import { noEntries } from '../../../src/log/log.ts'
import { within } from '../../../src/parts/time-limit.ts'
import { textBody, textOfBody } from '../../../src/sink/sink.ts'

function index(id: string, text: string): Work {
  const operation = { id, version: 7n, routing: undefined, repeatable: true, op: 'index' } as const
  return { at: 0, operation: { ...operation, body: textBody(text) } }
}

/** Nothing is ended. */
function transformerOf(transform: Transform): Transformer {
  return { path: 'orders.ts', transform, within: toItsEnd }
}

function toItsEnd(work: () => void): boolean {
  work()
  return true
}

const never = new AbortController().signal

test('a transform gets exact values and gives the document; null is none', () => {
  const text = '{"big":12345678901234567890,"price":0.12345678901234567890,"name":"x"}'
  assert.equal(
    transformed(
      transformerOf((document) => document),
      text,
    ),
    text,
  )
  assert.equal(
    transformed(
      transformerOf(({ big }) => ({ next: (big as bigint) + 1n })),
      text,
    ),
    '{"next":12345678901234567891}',
  )
  assert.equal(
    transformed(
      transformerOf(() => null),
      text,
    ),
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
    ...(await transforming(() => Promise.resolve(works), transformerOf(transform))(noEntries, never)),
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

test('a transform that does not end for a document stops the pipeline, by its name', async () => {
  const endless: Transformer = { ...transformerOf(loop), within: (work) => within(50, work) }
  const works = [index('1', '{"id":1}')]
  const outcome = transforming(() => Promise.resolve(works), endless)(noEntries, never)
  await assert.rejects(outcome, isNamed)
  assert.throws(() => transformed(endless, '{}'), isNamed)
})

test('a document that was ended once is begun anew, and those before it are not made twice', async () => {
  let hasStood = false
  const made: unknown[] = []
  const standing: Transform = ({ id }) => {
    made.push(id)
    if (id === 2 && !hasStood) {
      hasStood = true
      loop()
    }
    return { id }
  }
  const works = [1, 2, 3].map((id) => index(String(id), `{"id":${id}}`))
  const transformer = { ...transformerOf(standing), within: (work: () => void) => within(1_000, work) }
  const out = [...(await transforming(() => Promise.resolve(works), transformer)(noEntries, never))]
  assert.deepEqual(
    out.map(({ operation: { body } }) => body && textOfBody(body)),
    ['{"id":1}', '{"id":2}', '{"id":3}'],
  )
  assert.deepEqual(made, [1, 2, 2, 3])
})

function isNamed(error: unknown): boolean {
  const isKind = error instanceof Failure && error.kind === 'configuration'
  return isKind && error.message.includes('orders.ts does not end')
}

function loop(): never {
  for (;;);
}
