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

const queried = (query: string): object => ({
  table: 'a.b',
  sql: { query, triggers: { 'a.people': { on: { id: 'id' } } } },
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
  [
    'a canary in that column',
    /decides on documents/,
    { people: { ...people, policy: { canary: { row: '1', column: 'email' } } } },
  ],
  [
    'a key that stands in for the primary one',
    /decides on documents/,
    { people: { ...people, key: ['email'] } },
  ],
  [
    'a query that documents are made of',
    /may be read by a query of config\/pipelines\/query\.yaml/,
    {
      people,
      query: queried(
        'SELECT b.id, CONCAT(p.`EMail`) AS x FROM a.b b JOIN a.people p USING (id) WHERE b.id IN (:ids)',
      ),
    },
  ],
  [
    'a query of whole rows',
    /may be read by a query/,
    {
      people,
      query: queried('SELECT b.id, p.* FROM a.b b JOIN a . `people` p USING (id) WHERE id IN (:ids)'),
    },
  ],
  [
    'an upstream that is asked for it',
    /may be read by a query of config\/pipelines\/people\.yaml/,
    { people: { ...people, enrich: [{ field: 'mail', upstream: 'mails', with: { id: 'id' } }] } },
    { upstreams: { mails: { kind: 'sql', query: 'SELECT id, email FROM a.people WHERE id IN (:keys)' } } },
  ],
  [
    'an upstream of which only tasks ask there',
    /may be read by a query/,
    {
      people: {
        ...people,
        source: 'main',
        enrich: [{ field: 'mail', upstream: 'mails', with: { id: 'id' } }],
      },
    },
    {
      sources: { main: { url: 'mysql://u@h/' }, other: { url: 'mysql://u@other/' } },
      upstreams: {
        mails: {
          kind: 'sql',
          source: 'other',
          query: 'SELECT id, email FROM a.people WHERE id IN (:keys)',
          endpoints: { backfill: { source: 'main' } },
        },
      },
    },
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
    counted: queried('SELECT b.id, (SELECT COUNT(*) FROM a.people) AS n FROM a.b b WHERE b.id IN (:ids)'),
    elsewhere: queried('SELECT b.*, b.email FROM a.b b WHERE b.id IN (:ids)'),
  })
})
