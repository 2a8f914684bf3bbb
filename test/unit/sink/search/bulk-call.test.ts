import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bulkRequest } from '../../../../src/sink/search/bulk-call.ts'
import { del, put } from '../../../contract/sink.contract.ts'

test('a request is shown as it is sent: where it goes, the action, and the document of an index operation', () => {
  const index = { ...put('a "b"', 281_474_976_710_657n, { name: 'Ä' }), routing: 'r' }
  assert.deepEqual(bulkRequest('my things', false, index), [
    'POST /my%20things/_bulk?filter_path=errors%2Citems.*.status%2Citems.*.error%2Citems.*._index&require_alias=true',
    '{"index":{"_id":"a \\"b\\"","routing":"r","version":281474976710657,"version_type":"external_gte"}}',
    '{"name":"Ä"}',
  ])
  const deletion = { ...del('7', 1n), index: 'visits-2026_11', repeatable: false }
  assert.deepEqual(bulkRequest('visits', true, deletion), [
    'POST /_bulk?filter_path=errors%2Citems.*.status%2Citems.*.error',
    '{"delete":{"_id":"7","_index":"visits-2026_11","version":1,"version_type":"external"}}',
  ])
})
