/** Every setting there is: its doc, format, default and bounds, as data. Checks, types, examples and JSON Schemas follow. */
import { Type, type Static, type TSchema } from 'typebox'
import { forms } from '../document/definition.ts'
import type { SchemaNode } from './conform.ts'

/** A copy of a type in which nothing can be changed. */
export type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T

const sourceTls = group('Encryption of the connection.', {
  mode: choice(
    ['off', 'required', 'verify'],
    'off',
    'off; required (encrypted, any certificate); verify (encrypted, the certificate is checked).',
  ),
  ca: Type.Optional(text('PEM file of the authority that signed the server certificate.')),
  cert: Type.Optional(text('PEM file of our own certificate.')),
  key: Type.Optional(text('PEM file of the key to our own certificate.')),
})

const sourceType = group('A MySQL or MariaDB server.', {
  url: secret(
    text('Where the server is: mysql://user:password@host:port/', {
      pattern: '^(mysql|mariadb)://[^/]',
      examples: ['mysql://user:password@host:3306/'],
    }),
  ),
  hosts: Type.Array(text('', { pattern: '^[^:/@\\s]+(:\\d+)?$', examples: ['db2.example.com:3306'] }), {
    default: [],
    description:
      'Further servers of the same topology, as host or host:port, reached as the URL says: one of them is read where the first cannot be.',
  }),
  prefer: choice(
    ['any', 'primary', 'replica'],
    'any',
    'Which of several servers is read where there is a choice: any (the first that can be), the primary, or a replica.',
  ),
  catchUpSeconds: number(
    30,
    0,
    86_400,
    'How long a server may lack changes that were read from another one before they count as lost.',
  ),
  user: Type.Optional(text('The user, when the URL names none.')),
  password: Type.Optional(secret(text('The password, when it is better kept out of the URL.'))),
  tls: sourceTls,
  serverId: integer(
    0,
    0,
    4_294_967_295,
    'How we number ourselves among the replicas of the server, where no other has that number; 0 = drawn at random.',
  ),
  heartbeatSeconds: number(5, 0.1, 3600, 'How often the server says that it is alive while nothing changes.'),
})

const targetAuth = group('How we prove who we are: username and password, or apiKey, or bearer.', {
  username: Type.Optional(text('The name of the user.')),
  password: Type.Optional(secret(text('The password of that user.'))),
  apiKey: Type.Optional(secret(text('An API key, in the encoded form that the target gives.'))),
  bearer: Type.Optional(secret(text('A bearer token, such as a service token.'))),
})

const targetTls = group('Encryption, for https.', {
  ca: Type.Optional(text('PEM file of the authority that signed the certificate.')),
  fingerprint: Type.Optional(text('SHA-256 fingerprint of the certificate.')),
  verify: flag(true, 'Check the certificate.'),
})

const targetType = group('An Elasticsearch cluster.', {
  url: secret(
    Type.Array(text('', { pattern: '^https?://[^/]', examples: ['http://127.0.0.1:9200'] }), {
      minItems: 1,
      description: 'Where the nodes are: http://host:9200; several as a list or with commas between them.',
    }),
  ),
  auth: targetAuth,
  tls: targetTls,
  requestTimeoutSeconds: number(60, 1, 3600, 'A request that is not answered in this time is sent again.'),
  compress: flag(false, 'Compress requests: for slow networks.'),
})

const settingsType = group('Settings of the millrace process.', {
  state: text('Folder of the log and of all state. Relative to the working directory.', {
    default: './state',
  }),
  pipelines: text('Folder of the pipeline files. Relative to this file.', { default: './pipelines' }),
  sources: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), sourceType, {
    description: 'Where changes come from, by name.',
    default: {},
  }),
  targets: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), targetType, {
    description: 'Where documents go, by name.',
    default: {},
  }),
  log: group('The durable change log.', {
    segmentMb: number(64, 0.01, 4096, 'A file of the log is closed and the next begun at this size.'),
    retentionGb: number(
      10,
      0.001,
      100_000,
      'What every pipeline has delivered is kept up to this size in all ...',
    ),
    retentionHours: number(168, 0, 87_600, '... or up to this age, whichever comes first.'),
    ceilingGb: number(
      50,
      0.001,
      100_000,
      'Beyond this the oldest goes, delivered or not: a pipeline that still needed it must be loaded anew.',
    ),
    lanes: integer(3, 1, 64, 'How many lanes deliver at once. Fixed when the log begins.'),
  }),
  delivery: group('Writing to targets.', {
    bulkMb: number(5, 0.01, 100, 'A request to a target is closed at this size ...'),
    bulkCount: integer(5000, 1, 100_000, '... or at so many documents ...'),
    batchAgeMs: integer(
      0,
      0,
      60_000,
      '... or when its first change has waited this long; 0 = at once, with what is there.',
    ),
    pendingMb: number(1, 0.1, 1024, 'So much of what was read may wait to be written, in each lane.'),
    lookUpsPerSecond: integer(
      10_000,
      0,
      10_000_000,
      'Rows read from the table because a change did not show them, in each pipeline; 0 = without a limit.',
    ),
  }),
  load: group('Reading whole tables.', {
    chunkRows: integer(2000, 1, 100_000, 'Rows in one read.'),
    chunkMb: number(4, 0.01, 256, 'Bytes in one read.'),
    rowsPerSecond: number(0, 0, 10_000_000, 'Speed limit; 0 = none.'),
    undeliveredMb: number(
      8,
      0.1,
      4096,
      'Reading pauses while so much of it is not delivered, so that live changes stay fresh.',
    ),
  }),
  capture: group('Reading changes.', {
    batchKb: number(512, 1, 65_536, 'Changes are appended to the log in pieces of at most this size.'),
  }),
  control: group('The HTTP server for status, health and metrics.', {
    host: text('Address to listen on.', { default: '127.0.0.1' }),
    port: integer(8377, 0, 65_535, 'Port to listen on; 0 = any free one.'),
  }),
  logger: group('Diagnostics.', {
    level: choice(['debug', 'info', 'warn', 'error'], 'info', 'The least level that is written.'),
    format: choice(['auto', 'json', 'pretty'], 'auto', 'auto = pretty on a terminal, JSON elsewhere.'),
  }),
  shutdownSeconds: number(30, 0, 3600, 'How long a stop waits for what is being written.'),
})

const scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean()])
const filters = Type.Object(
  {
    ne: Type.Optional(scalar),
    lt: Type.Optional(scalar),
    lte: Type.Optional(scalar),
    gt: Type.Optional(scalar),
    gte: Type.Optional(scalar),
    in: Type.Optional(Type.Array(scalar, { minItems: 1 })),
    isNull: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, minProperties: 1 },
)
const columns = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description })

const pipelineType = Type.Object(
  {
    name: Type.Optional(
      Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,62}$', description: 'Default: the name of the file.' }),
    ),
    source: Type.Optional(Type.String({ description: 'A source of the settings. Default: the only one.' })),
    table: Type.String({
      pattern: '^[^.]+\\.[^.]+$',
      examples: ['shop.orders'],
      description: 'The table: schema.table',
    }),
    fields: Type.Optional(
      Type.Record(Type.String(), Type.String({ minLength: 1 }), {
        minProperties: 1,
        description: 'Document field: column. Default: every column under its own name.',
      }),
    ),
    exclude: Type.Optional(columns('Columns left out, where `fields` is not given.')),
    forms: Type.Optional(
      Type.Record(Type.String(), Type.Enum([...forms]), {
        minProperties: 1,
        description:
          'Document field: the form of its values, where it is to be another than that of change events.',
      }),
    ),
    where: Type.Optional(
      Type.Record(Type.String(), Type.Union([scalar, filters]), {
        description:
          'Conditions by column; all must hold. A row that does not match, or no longer does, has no document.',
      }),
    ),
    id: Type.Optional(
      Type.Object(
        {
          columns: Type.Optional(columns('Columns of the key that make the id. Default: the whole key.')),
          prefix: Type.Optional(Type.String({ maxLength: 128, description: 'Put before each id.' })),
        },
        { additionalProperties: false, description: 'The id of a document.' },
      ),
    ),
    key: Type.Optional(
      columns('Columns of a unique key that stands in for a missing primary key; none may be nullable.'),
    ),
    target: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(
            Type.String({ description: 'A target of the settings. Default: the only one.' }),
          ),
          index: Type.Optional(
            Type.String({ description: 'The alias that is written to. Default: the name of the pipeline.' }),
          ),
          adopt: Type.Optional(
            Type.Boolean({
              description:
                'Take over an index that millrace did not fill. Documents that the table lacks are deleted from it.',
            }),
          ),
          settings: Type.Optional(object('Settings of an index that is made.')),
          mappings: Type.Optional(object('Mappings by field, laid over those that follow from the columns.')),
        },
        { additionalProperties: false, description: 'Where the documents go.' },
      ),
    ),
    policy: Type.Optional(
      Type.Object(
        {
          start: Type.Optional(
            Type.Union(
              [
                Type.Literal('load'),
                Type.Literal('now'),
                Type.Literal('earliest'),
                Type.Object({ gtid: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
              ],
              {
                description:
                  'A new pipeline begins with a load of the whole table, or without one: now, earliest, or after {gtid: SET}.',
              },
            ),
          ),
          ddl: Type.Optional(
            Type.Enum(['auto', 'propose', 'freeze'], {
              description:
                "What a change of the table's columns does: auto (the index follows), propose (a new column is left out until it is accepted), freeze (the pipeline stops). run --reload or --keep accepts. Default: auto.",
            }),
          ),
          batchAgeMs: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 60_000, description: 'Overrides delivery.batchAgeMs.' }),
          ),
        },
        { additionalProperties: false, description: 'How it is run.' },
      ),
    ),
  },
  { additionalProperties: false, description: 'One pipeline: a table and the index that follows it.' },
)

/** The library's types do not tell that its schemas are plain JSON Schema; they are. */
export const settingsSchema = settingsType as unknown as SchemaNode
export const pipelineSchema = pipelineType as unknown as SchemaNode

export type Settings = Frozen<Static<typeof settingsType>>
export type SourceSettings = Frozen<Static<typeof sourceType>>
export type TargetSettings = Frozen<Static<typeof targetType>>
export type PipelineFile = Frozen<Static<typeof pipelineType>>

function group<T extends Record<string, TSchema>>(description: string, properties: T) {
  return Type.Object(properties, { additionalProperties: false, description })
}

function text(description: string, more: { pattern?: string; default?: string; examples?: string[] } = {}) {
  return Type.String({ minLength: 1, description, ...more })
}

function number(preset: number, minimum: number, maximum: number, description: string) {
  return Type.Number({ default: preset, minimum, maximum, description })
}

function integer(preset: number, minimum: number, maximum: number, description: string) {
  return Type.Integer({ default: preset, minimum, maximum, description })
}

function flag(preset: boolean, description: string) {
  return Type.Boolean({ default: preset, description })
}

function choice<const T extends string[]>(choices: readonly [...T], preset: T[number], description: string) {
  return Type.Enum([...choices], { default: preset, description })
}

function object(description: string) {
  return Type.Record(Type.String(), Type.Unknown(), { description })
}

/** A value that is never shown. */
function secret<T extends TSchema>(schema: T): T {
  return Object.assign(schema, { writeOnly: true })
}
