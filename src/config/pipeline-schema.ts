/** A pipeline file, as data. */
import type { SchemaNode } from './conform.ts'
import { columns, rows } from './row-schema.ts'
import { sqlType } from './sql-document.ts'
import { object, Type, type Frozen, type Static } from './schema-words.ts'

const pipelineTarget = Type.Object(
  {
    name: Type.Optional(Type.String({ description: 'A target of the settings. Default: the only one.' })),
    index: Type.Optional(
      Type.String({
        description:
          'The alias that is written to, or visits-{created_at:YYYY_MM}: one index for each month (YYYY, YYYY_MM, YYYY_MM_DD, in UTC) of a date, behind the alias visits. Default: the name of the pipeline.',
      }),
    ),
    keep: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description:
          'With an index for each period: so many, the present one among them, are kept; older ones are dropped whole. Default: all.',
      }),
    ),
    routing: Type.Optional(
      columns('Columns whose values decide on the shard of a document. Default: its id does.'),
    ),
    taskTag: Type.Optional(
      Type.String({
        description:
          'A tag that one target of the settings has: loads, replays, redrives and touches are written through that target, another way to the same documents (such as nodes that serve no searches), and leave this one to changes. Default: no other way.',
      }),
    ),
    adopt: Type.Optional(
      Type.Boolean({
        description:
          'Take over an index that millrace did not fill. Documents that the table lacks are deleted from it.',
      }),
    ),
    metadata: Type.Optional(
      Type.Boolean({
        description:
          'Each document has a field `_millrace` that says what it was made from: version (digits, as a text), committedAt and gtid (when and by which transaction its row was changed; null where the row was read), hash (SHA-256 of the document without this field). Default: false.',
      }),
    ),
    settings: Type.Optional(object('Settings of an index that is made.')),
    mappings: Type.Optional(object('Mappings by field, laid over those that follow from the columns.')),
  },
  { additionalProperties: false, description: 'Where the documents go.' },
)

const pipelineType = Type.Object(
  {
    name: Type.Optional(
      Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,62}$', description: 'Default: the name of the file.' }),
    ),
    source: Type.Optional(Type.String({ description: 'A source of the settings. Default: the only one.' })),
    ...rows,
    sql: Type.Optional(sqlType),
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
    target: Type.Optional(pipelineTarget),
    targets: Type.Optional(
      Type.Array(pipelineTarget, {
        minItems: 1,
        description:
          'In place of `target`: several, each with a progress, dead letters and trouble of its own. The first is the primary one.',
      }),
    ),
    enrich: Type.Optional(
      Type.Array(
        Type.Object(
          {
            field: Type.String({
              minLength: 1,
              description: 'The field of the document that gets the answer.',
            }),
            upstream: Type.String({ minLength: 1, description: 'An upstream of the settings.' }),
            with: Type.Record(Type.String({ minLength: 1 }), Type.String({ minLength: 1 }), {
              minProperties: 1,
              description:
                'What is asked with: parameter to field of the document (a.b for a field within another).',
            }),
            onFailure: Type.Optional(
              Type.Enum(['stop', 'dead-letter', 'partial'], {
                description:
                  'Where the upstream fails for good: the pipeline waits and tries again, or stops where only a person can mend it (stop); the document becomes a dead letter, or it is written without the field and made whole later (partial). Default: stop.',
              }),
            ),
            missing: Type.Optional(
              Type.Enum(['null', 'omit'], {
                description:
                  'What the document shows where nothing is known: null, or no field. Default: null.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        { description: 'Fields that come from elsewhere, one step after the other.' },
      ),
    ),
    refresh: Type.Optional(
      Type.Object(
        {
          schedule: Type.String({
            minLength: 1,
            description: 'When, as cron says it: minute, hour, day of month, month, day of week.',
            examples: ['0 3 * * *'],
          }),
          timezone: Type.Optional(
            Type.String({
              minLength: 1,
              description: 'Whose clock that is, as Europe/Berlin. Default: UTC.',
            }),
          ),
          rowsPerSecond: Type.Optional(
            Type.Number({
              exclusiveMinimum: 0,
              maximum: 10_000_000,
              description: 'At most so many. Default: load.rowsPerSecond.',
            }),
          ),
        },
        {
          additionalProperties: false,
          description:
            'Upstreams are asked anew and every document is made again, by a schedule: what they know changes while no row does.',
        },
      ),
    ),
    transform: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'A JavaScript or TypeScript file, relative to this one, that exports transform(document): the document as it is to be, or null for none. One that works at a document for more than 2 s stops the pipeline.',
      }),
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
          freshness: Type.Optional(
            Type.Number({
              minimum: 0,
              maximum: 3600,
              description:
                'So many seconds a document may be behind its row: the more, the fewer writes, for of several changes within half of it only the last is written. Default: 0, as soon as possible.',
            }),
          ),
          canary: Type.Optional(
            Type.Object(
              {
                row: Type.String({
                  minLength: 1,
                  description: 'The key of a row of the table that is kept for this: 0, or ["a",1].',
                }),
                column: Type.String({
                  minLength: 1,
                  description:
                    'Its column of type BIGINT that is set to the time, in milliseconds; documents show it. The user of the source needs UPDATE on it.',
                }),
                everySeconds: Type.Optional(
                  Type.Number({ minimum: 0.1, maximum: 3600, description: 'So often. Default: 10.' }),
                ),
                withinSeconds: Type.Optional(
                  Type.Number({
                    minimum: 0.1,
                    maximum: 3600,
                    description: 'A search must find each change within so long. Default: 30.',
                  }),
                ),
              },
              {
                additionalProperties: false,
                description:
                  'A row that is changed again and again, and must be found by a search: measures how old what people find is, and makes the daemon unready, with an alert, where it is not found in time.',
              },
            ),
          ),
          onLost: Type.Optional(
            Type.Enum(['stop', 'reload'], {
              description:
                'When a target was away until the log had to let go of what it lacks: stop (until run --reload), or reload (the table is read again for that target alone). Default: stop.',
            }),
          ),
          alerts: Type.Optional(
            Type.Array(Type.String(), {
              description:
                'Channels of the settings (alerts.channels) that are told what goes wrong with it. Default: all; [] = none.',
            }),
          ),
        },
        { additionalProperties: false, description: 'How it is run.' },
      ),
    ),
  },
  { additionalProperties: false, description: 'One pipeline: a table and the index that follows it.' },
)

/** The library's types do not tell that its schemas are plain JSON Schema; they are. */
export const pipelineSchema = pipelineType as unknown as SchemaNode

export type PipelineFile = Frozen<Static<typeof pipelineType>>
