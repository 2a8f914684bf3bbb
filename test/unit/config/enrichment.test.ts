import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configurationOf } from '../../support/configured.ts'

const enrich = [{ field: 'degrees', upstream: 'weather', with: { city: 'city' } }]
const trips = { table: 'a.trips', enrich }
const url = 'http://127.0.0.1:9/weather/{city}'

const mistakes: readonly (readonly [string, RegExp, object, object?])[] = [
  ['an upstream that is not there', /there is no upstream "weather"/, { wether: { url } }],
  ['no URL', /upstreams\.weather\.url: is missing/, { weather: {} }],
  [
    'a row that would say which host is asked',
    /upstreams\.weather\.url: has a parameter in its host/,
    { weather: { url: 'http://{city}.weather.example/now' } },
  ],
  [
    'a host that a value would lengthen',
    /has a parameter in its host/,
    { weather: { url: 'http://weather.example{city}' } },
  ],
  [
    'an endpoint for tasks of that kind',
    /upstreams\.weather\.endpoints\.backfill\.url: has a parameter in its host/,
    { weather: { url, endpoints: { backfill: { url: 'https://{city}/' } } } },
  ],
  ['a parameter that nobody gives', /the upstream asks for \{day\}/, { weather: { url: `${url}/{day}` } }],
  [
    'a parameter that the URL does not have',
    /the URL of the upstream has no \{city\}/,
    { weather: { url: 'http://h/' } },
  ],
  ['no module', /upstreams\.weather\.module: is missing/, { weather: { kind: 'module' } }],
  ['a query without :keys', /does not have :keys once/, { weather: { kind: 'sql', query: 'SELECT 1' } }],
  [
    'a source that is not there',
    /there is no source "other"/,
    { weather: { kind: 'sql', source: 'other', query: 'SELECT a FROM b.c WHERE a IN (:keys)' } },
  ],
  [
    'a query that is asked with two values',
    /a query is asked with one value/,
    { weather: { kind: 'sql', query: 'SELECT a FROM b.c WHERE a IN (:keys)' } },
    { ...trips, enrich: [{ ...enrich[0], with: { city: 'city', day: 'day' } }] },
  ],
  [
    'a key of two values',
    /an upstream with a key is asked with one value/,
    { weather: { url: 'http://h/', method: 'post', key: 'id' } },
    { ...trips, enrich: [{ ...enrich[0], with: { city: 'city', day: 'day' } }] },
  ],
  [
    'a field that is there already',
    /the document has a field "degrees" already/,
    { weather: { url } },
    { ...trips, fields: { city: 'city', degrees: 'degrees' } },
  ],
]

for (const [what, found, upstreams, pipeline = trips] of mistakes)
  test(`enrichment is refused with ${what}`, (t) => {
    assert.throws(
      () => configurationOf(t, { trips: pipeline }, { upstreams }),
      (error) => error instanceof Error && found.test(error.message),
    )
  })

test('each kind of upstream can be asked, parameters stand in path and query', (t) => {
  const upstreams = {
    get: { url: 'http://h:9/weather?city={city}' },
    post: { url: 'https://h/', method: 'post', key: 'city.id' },
    sql: { kind: 'sql', query: 'SELECT id, name FROM a.cities WHERE id IN (:keys)' },
    module: { kind: 'module', module: './cities.ts' },
  }
  const { pipelines } = configurationOf(
    t,
    { trips: { ...trips, enrich: Object.keys(upstreams).map(step) } },
    { upstreams },
  )
  assert.deepEqual(
    pipelines[0]?.enrich.map(({ field, parameters, onFailure, missing }) => [
      field,
      parameters,
      onFailure,
      missing,
    ]),
    Object.keys(upstreams).map((name) => [name, { city: ['city'] }, 'stop', 'null']),
  )
})

function step(upstream: string): object {
  return { field: upstream, upstream, with: { city: 'city' } }
}
