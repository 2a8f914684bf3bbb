/** What documents can be enriched from, as data. */
import {
  choice,
  group,
  integer,
  number,
  secret,
  text,
  Type,
  type Frozen,
  type Static,
} from './schema-words.ts'

const url = secret(
  text('http: where it is; with get, {parameter} stands for a value that is asked with.', {
    pattern: '^https?://[^/]',
    examples: ['http://127.0.0.1:9000/weather/{city}'],
  }),
)
const headers = secret(
  Type.Array(text('', { pattern: '^[A-Za-z0-9-]+: .', examples: ['authorization: Bearer ...'] }), {
    description: 'http: headers of each request, as "name: value".',
  }),
)
const source = text('sql: the source of the settings whose server is asked. Default: the only one.')

/** What differs there from what is said beside it. */
const endpointType = group('An endpoint: what it does not say is as the upstream has it.', {
  url: Type.Optional(url),
  headers: Type.Optional(headers),
  source: Type.Optional(source),
  requestsPerSecond: Type.Optional(
    Type.Number({ minimum: 0, maximum: 1_000_000, description: 'Speed limit; 0 = none.' }),
  ),
  concurrency: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'Requests under way at once.' }),
  ),
})

export const upstreamType = group(
  'What documents can be enriched from: a service over HTTP, a query, or a module of your own.',
  {
    kind: choice(['http', 'sql', 'module'], 'http', 'http, sql or module.'),
    url: Type.Optional(url),
    method: choice(
      ['get', 'post'],
      'get',
      'http: get asks for one document at a time, 404 = nothing is known; post sends {"keys":[{...},...]} and gets a list of answers in that order.',
    ),
    headers: Type.Optional(headers),
    answers: Type.Optional(
      text('http, post: where the list of answers is in the reply, such as data.items.'),
    ),
    value: Type.Optional(
      text(
        'Where the value is in an answer: http: a path such as current.temperature; sql: a column. Default: all of it.',
      ),
    ),
    key: Type.Optional(
      text(
        'http: where an answer repeats the one value that it was asked with, such as city.id. Answers may then come in any order, what has none is not known, and an answer to something else is a failure. Default: answers in the order of the questions.',
      ),
    ),
    source: Type.Optional(source),
    query: Type.Optional(
      text('sql: a SELECT with :keys once; its first column is the key, the others are the answer.', {
        examples: ['SELECT country, name FROM geo.countries WHERE country IN (:keys)'],
      }),
    ),
    rows: choice(
      ['one', 'many'],
      'one',
      'sql: one (a key has one row at most) or many (the answer is a list).',
    ),
    module: Type.Optional(
      text(
        'module: a JavaScript or TypeScript file that exports ask(questions, { signal }). Relative to this file.',
      ),
    ),
    batch: integer(100, 1, 10_000, 'At most so many questions in one request (post, sql, module).'),
    timeoutSeconds: number(5, 0.01, 600, 'A request that is not answered in this time has failed.'),
    responseMb: number(4, 0.001, 256, 'http: a longer reply is a failure.'),
    retries: integer(3, 0, 100, 'How often a request is tried again, after 1, 1, 2, 3, 5 ... 30 s.'),
    requestsPerSecond: number(0, 0, 1_000_000, 'Speed limit; 0 = none.'),
    concurrency: integer(4, 1, 1000, 'Requests under way at once.'),
    endpoints: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_-]*$' }), endpointType, {
      default: {},
      description:
        'By tag: where tasks of that tag ask instead, so that they do not burden what others use; see load.tag.',
    }),
    cacheSeconds: number(0, 0, 31_536_000, 'How long an answer is used again; 0 = never.'),
    cacheEntries: integer(10_000, 1, 10_000_000, 'At most so many answers are kept.'),
    breakerFailures: integer(5, 1, 10_000, 'After so many failed requests in a row it is left alone ...'),
    breakerSeconds: number(30, 0, 86_400, '... for so long.'),
    completeSeconds: number(
      60,
      0.1,
      86_400,
      'How often documents that lack its answer, or are dead letters for want of it, are made anew.',
    ),
  },
)

export type UpstreamSettings = Frozen<Static<typeof upstreamType>>

/** The upstream as tasks of this tag ask it; undefined = it has no endpoint for them. */
export function endpointOf(upstream: UpstreamSettings, tag: string): UpstreamSettings | undefined {
  const endpoint = upstream.endpoints[tag]
  return endpoint === undefined ? undefined : { ...upstream, ...endpoint }
}
