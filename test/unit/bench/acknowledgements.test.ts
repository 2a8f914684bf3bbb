import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Acknowledgements } from '../../bench/acknowledgements.ts'

const exchange = {
  path: '/orders/_bulk',
  status: 200,
  answer: Buffer.from('{"errors":false}'),
  requestedAt: 5,
}
const lines = (id: string): string => `{"index":{"_id":"${id}","version":1}}\n{"_id":"not an id"}\n`
const deletion = (id: string): string => `{"delete":{"_id":"${id}","version":2}}\n`

test('the first answer to a document counts, once counting has begun', () => {
  const acknowledgements = new Acknowledgements()
  acknowledgements.add({ ...exchange, body: Buffer.from(lines('1')), answeredAt: 10 })
  acknowledgements.begin()
  acknowledgements.add({
    ...exchange,
    body: Buffer.from(deletion('2') + lines('1') + deletion('3')),
    answeredAt: 20,
  })
  acknowledgements.add({ ...exchange, body: Buffer.from(lines('1')), answeredAt: 30 })
  assert.deepEqual(
    ['1', '2', '3', 'not an id'].map((id) => acknowledgements.at(id)?.answeredAt),
    [20, 20, 20, undefined],
  )
})

test('it tells when the request was complete that was answered', () => {
  const acknowledgements = new Acknowledgements()
  acknowledgements.begin()
  acknowledgements.add({ ...exchange, body: Buffer.from(lines('1')), requestedAt: 7, answeredAt: 9 })
  assert.deepEqual(acknowledgements.at('1'), { requestedAt: 7, answeredAt: 9 })
})

test('what was refused or must be tried again is not acknowledged', () => {
  const acknowledgements = new Acknowledgements()
  acknowledgements.begin()
  const items = [{ index: { status: 201 } }, { index: { status: 429 } }, { delete: { status: 404 } }]
  const answer = Buffer.from(JSON.stringify({ errors: true, items }))
  acknowledgements.add({
    ...exchange,
    answer,
    body: Buffer.from(lines('1') + lines('2') + deletion('3')),
    answeredAt: 20,
  })
  acknowledgements.add({ ...exchange, status: 503, body: Buffer.from(lines('4')), answeredAt: 21 })
  assert.deepEqual(
    ['1', '2', '3', '4'].map((id) => acknowledgements.at(id)?.answeredAt),
    [20, undefined, 20, undefined],
  )
})
