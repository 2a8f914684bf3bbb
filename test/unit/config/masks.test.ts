import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fingerprint } from '../../../src/config/fingerprint.ts'
import { masksOf } from '../../../src/config/masks.ts'
import { configurationOf } from '../../support/configured.ts'

test('masks of root and children are gathered by table, and what is dropped is left out', (t) => {
  const { pipelines } = configurationOf(t, {
    people: {
      table: 'a.people',
      masks: { email: 'hash', ssn: 'drop', name: { truncate: 1 } },
      children: { notes: { table: 'a.notes', on: { person: 'id' }, masks: { body: 'drop' } } },
    },
  })
  const { 'a.people': { email = '', ...people } = {}, 'a.notes': notes } = masksOf(pipelines)
  assert.match(email, /^hash:[0-9a-f]{8}$/)
  assert.deepEqual(people, { ssn: 'drop', name: 'truncate:1' })
  assert.deepEqual(notes, { body: 'drop' })
  assert.deepEqual(pipelines[0]?.definition.exclude, ['ssn'])
})

test('a mask, and the secret of a hash, alter the fingerprint', (t) => {
  const print = (masks: object | undefined, secret = 'sixteen characters'): string => {
    const { pipelines } = configurationOf(
      t,
      { p: { table: 'a.p', ...(masks === undefined ? {} : { masks }) } },
      {
        masks: { secret },
      },
    )
    const [pipeline] = pipelines
    assert(pipeline !== undefined)
    return fingerprint(pipeline)
  }
  const prints = [
    print(undefined),
    print({ a: 'hash' }),
    print({ a: 'hash' }, 'another one of enough length'),
    print({ a: { truncate: 3 } }),
    print({ a: { truncate: 4 } }),
    print({ a: 'drop' }),
  ]
  assert.equal(new Set(prints).size, prints.length)
})

const people = { table: 'a.people', masks: { email: 'hash' } }
const contradictions: readonly (readonly [string, RegExp, Readonly<Record<string, object>>, object?])[] = [
  ['a hash without a secret', /masks\.secret/, { people }, { masks: {} }],
  ['a condition', /decides on documents/, { people: { ...people, where: { email: 'x' } } }],
  [
    'a dropped column that is shown',
    /shown under fields/,
    { people: { table: 'a.people', fields: { id: 'id', e: 'email' }, masks: { email: 'drop' } } },
  ],
  [
    'a column that joins',
    /decides on documents/,
    { people: { ...people, children: { c: { table: 'a.c', on: { mail: 'email' } } } } },
  ],
  [
    'a child that joins by it',
    /decides on documents/,
    {
      people: {
        table: 'a.p',
        children: { c: { table: 'a.c', on: { email: 'id' }, masks: { email: 'drop' } } },
      },
    },
  ],
  [
    'another pipeline that shows it',
    /used otherwise in config\/pipelines\/plain\.yaml/,
    { people, plain: { table: 'a.people', target: { index: 'plain' } } },
  ],
  [
    'another mask elsewhere',
    /used otherwise/,
    { people, other: { table: 'a.people', target: { index: 'o' }, masks: { email: { truncate: 2 } } } },
  ],
]

for (const [what, found, pipelines, more] of contradictions)
  test(`a mask is refused beside ${what}`, (t) => {
    assert.throws(
      () => configurationOf(t, pipelines, more),
      (error) => error instanceof Error && found.test(error.message),
    )
  })

test('pipelines that do not use a masked column, or mask it alike, go together', (t) => {
  configurationOf(t, {
    people,
    same: { ...people, target: { index: 'same' } },
    without: { table: 'a.people', exclude: ['email'], target: { index: 'without' } },
    chosen: { table: 'a.people', fields: { id: 'id' }, target: { index: 'chosen' } },
  })
})
