import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { bulkParts } from '../../../../src/sink/search/bulk-body.ts'
import type { Operation } from '../../../../src/sink/sink.ts'
import { bodyOf } from '../../../support/bodies.ts'

function index(id: string, body = '{}', version = 1n): Operation {
  return { op: 'index', id, version, routing: undefined, repeatable: true, body: bodyOf(body) }
}

describe('a bulk body', () => {
  it('lets only what is repeatable be written over itself', () => {
    const [part] = [...bulkParts([{ ...index('a'), repeatable: false }], Infinity)]
    assert.match(part?.body.toString('utf8') ?? '', /"version_type":"external"}/)
  })

  it('has an action with id, version and routing, and the document', () => {
    const operations: Operation[] = [
      { ...index('ünï "1"', '{"a":"Köln"}', (32767n << 48n) | 5n), routing: 'r\n1' },
      { op: 'delete', id: 'b', version: 2n, routing: undefined, repeatable: true, body: undefined },
    ]
    const [part] = [...bulkParts(operations, Infinity)]
    assert.equal(
      part?.body.toString('utf8'),
      '{"index":{"_id":"ünï \\"1\\"","routing":"r\\n1","version":9223090561878065157,"version_type":"external_gte"}}\n' +
        '{"a":"Köln"}\n' +
        '{"delete":{"_id":"b","version":2,"version_type":"external_gte"}}\n',
    )
  })

  it('writes ids that a parser reads back, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (id) => {
        const [part] = [...bulkParts([index(id)], Infinity)]
        const [action] = (part?.body.toString('utf8') ?? '').split('\n')
        assert.equal(JSON.parse(action ?? '').index['_id'], id)
      }),
    )
  })

  it('is cut at the limit, loses nothing, and holds at least one operation', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 40 })
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 2000 }), (lengths, bytesMax) => {
        const operations = lengths.map((length, at) => index(`d${at}`, JSON.stringify('x'.repeat(length))))
        const parts = [...bulkParts(operations, bytesMax)]
        const all = [...bulkParts(operations, Infinity)].map(({ body }) => body)
        assert.deepEqual(Buffer.concat(parts.map(({ body }) => body)), Buffer.concat(all))
        let next = 0
        for (const part of parts) {
          assert.equal(part.first, next)
          assert.ok(part.next > part.first)
          assert.ok(part.body.length <= bytesMax || part.next === part.first + 1)
          next = part.next
        }
        assert.equal(next, operations.length)
      }),
    )
  })
})
