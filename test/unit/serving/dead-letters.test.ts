import assert from 'node:assert/strict'
import { test } from 'node:test'
import { letter, letterOffice as office } from '../../support/letter-office.ts'

test('letters are listed by what they share, the most frequent first', async (t) => {
  const { deadLetters, operations } = await office(t)
  await deadLetters.put('orders@primary', [letter(1), letter(2, 'rare'), letter(3)])
  await deadLetters.put('items@primary', [letter(4)])
  const kinds = await operations.letterKinds({})
  assert.deepEqual(
    kinds.map(({ pipeline, count, fingerprint, exampleId }) => [pipeline, count, fingerprint, exampleId]),
    [
      ['orders', 2, 'a kind', '1'],
      ['items', 1, 'a kind', '4'],
      ['orders', 1, 'rare', '2'],
    ],
  )
  assert.equal(kinds[0]?.firstAt, '1970-01-01T00:00:01.000Z')
  assert.equal(kinds[0]?.lastAt, '1970-01-01T00:00:03.000Z')
  assert.equal((await operations.letterKinds({ pipeline: 'items' })).length, 1)
  await assert.rejects(operations.letterKinds({ pipeline: 'ordres' }), /did you mean|no pipeline/)
})

test('letters are chosen by id, by key however it is spaced, and by the fingerprint or its short name', async (t) => {
  const { deadLetters, operations } = await office(t)
  await deadLetters.put('orders@primary', [
    letter(1),
    letter(2, 'rare'),
    { ...letter(3), key: '["de",7]' },
    letter(4),
  ])
  const idsOf = async (choice: object): Promise<readonly string[]> =>
    (await operations.letters({ pipeline: 'orders', ...choice }, 100)).map(({ id }) => id)
  assert.deepEqual(await idsOf({}), ['1', '2', '3', '4'])
  assert.deepEqual(await idsOf({ ids: ['4', '1', 'none'] }), ['1', '4'])
  assert.deepEqual(await idsOf({ keys: ['2', '["de", 7]'] }), ['2', '3'])
  assert.deepEqual(await idsOf({ fingerprint: 'rare' }), ['2'])
  const [rare] = await operations.letterKinds({ fingerprint: 'rare' })
  const name = rare?.name ?? ''
  assert.match(name, /^[0-9a-f]{8}$/)
  assert.deepEqual(await idsOf({ fingerprint: name }), ['2'])
  assert.equal((await operations.letters({}, 2)).length, 2)
  assert.equal((await operations.letters({ ids: ['1'] }, 2))[0]?.document, letter(1).document)
})

test('a redrive touches the rows for that target alone and leaves the letters; a drop forgets them', async (t) => {
  const { deadLetters, operations, touched, facts } = await office(t)
  await deadLetters.put('orders@primary', [letter(1), letter(2, 'rare'), letter(3)])
  assert.deepEqual(await operations.redriveLetters({ pipeline: 'orders', ids: ['1', '3'] }), {
    letters: 2,
    until: 7,
  })
  assert.deepEqual(touched, { keys: ['[1]', '[3]'], addressees: ['orders@primary'] })
  assert.equal(await deadLetters.count('orders@primary'), 3)
  assert.deepEqual(await operations.dropLetters({ pipeline: 'orders@primary', fingerprint: 'a kind' }), {
    letters: 2,
    until: 0,
  })
  assert.deepEqual(
    (await operations.letters({}, 10)).map(({ id }) => id),
    ['2'],
  )
  assert.deepEqual(
    facts.of('dead-letters').map(({ open }) => open),
    [1],
  )
})
