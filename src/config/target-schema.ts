/** The schema of a target in the settings. */
import { choice, flag, group, integer, number, secret, text, Type } from './schema-words.ts'

const aws = group('Requests to an OpenSearch of AWS, signed (Signature Version 4) in place of a login.', {
  region: Type.Optional(text('The region, such as eu-central-1; naming it switches signing on.')),
  service: choice(['es', 'aoss'], 'es', 'es, or aoss for the serverless kind.'),
  accessKeyId: Type.Optional(secret(text('The id of the access key.'))),
  secretAccessKey: Type.Optional(secret(text('The access key.'))),
  sessionToken: Type.Optional(secret(text('The token that belongs to a temporary key.'))),
})

const auth = group('How we prove who we are: username and password, or apiKey, or bearer, or aws.', {
  username: Type.Optional(text('The name of the user.')),
  password: Type.Optional(secret(text('The password of that user.'))),
  apiKey: Type.Optional(secret(text('An API key, in the encoded form that the target gives.'))),
  bearer: Type.Optional(secret(text('A bearer token, such as a service token.'))),
  aws,
})

const tls = group('Encryption, for https.', {
  ca: Type.Optional(text('PEM file of the authority that signed the certificate.')),
  fingerprint: Type.Optional(text('SHA-256 fingerprint of the certificate.')),
  verify: flag(true, 'Check the certificate.'),
})

const limits = group(
  'What we ask of each node of a target at most, over all pipelines. A request goes to the node with the fewest on their way; a module counts as one node.',
  {
    requestsPerSecond: number(0, 0, 100_000, 'Requests that write; 0 = no limit.'),
    megabytesPerSecond: number(0, 0, 100_000, 'Megabytes of documents, before compression; 0 = no limit.'),
    connections: integer(
      0,
      0,
      1000,
      'Requests that write, at once; 0 = as many as there are lanes, of which each has one under way.',
    ),
    adaptive: flag(true, 'Fewer at once while the target has no room or is slow; more again when it has.'),
  },
)

export const targetType = group(
  'A cluster of Elasticsearch or OpenSearch, a service that writes, or a module.',
  {
    kind: choice(
      ['auto', 'elasticsearch', 'opensearch', 'http', 'module'],
      'auto',
      'elasticsearch (7.17 and later), opensearch (1 to 3), auto (the target is asked which of them it is), http (a write service of yours), or module (a file of yours).',
    ),
    url: secret(
      Type.Array(text('', { pattern: '^https?://[^/]', examples: ['http://127.0.0.1:9200'] }), {
        default: [],
        description:
          'Where the nodes are: http://host:9200; several, in turn, as a list or with commas between them. For a module: nothing.',
      }),
    ),
    module: Type.Optional(
      text('For a module: a JavaScript or TypeScript file that exports `write`. Relative to this file.'),
    ),
    lists: flag(
      true,
      'For http and module: whether documents can be listed. Without that a document stays whose row went unseen, as by TRUNCATE, and nothing can be verified.',
    ),
    tags: Type.Array(text('', { pattern: '^[a-z][a-z0-9_-]*$', examples: ['prod'] }), {
      default: [],
      description:
        'What it is for, in your own words, such as prod or backfill: doctor shows them, and `taskTag` of a pipeline names one.',
    }),
    auth,
    tls,
    requestTimeoutSeconds: number(60, 1, 3600, 'A request that is not answered in this time is sent again.'),
    compress: flag(false, 'Compress requests: for slow networks.'),
    limits,
    discover: flag(
      false,
      'Ask the cluster for its other nodes and use them too: only where we can reach them.',
    ),
  },
)
