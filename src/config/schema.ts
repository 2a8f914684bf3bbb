/** Every setting of the process: its doc, format, default and bounds, as data. Checks, types, examples and JSON Schemas follow. */
import { alertsType } from './alert-schema.ts'
import { cacheType } from './cache-schema.ts'
import type { SchemaNode } from './conform.ts'
import { logType } from './log-schema.ts'
import { login, serverTls } from './connection-schema.ts'
import { sourceType } from './source-schema.ts'
import { upstreamType } from './upstream-schema.ts'
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
import { targetType } from './target-schema.ts'

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
  store: group('Small state: the journal, runs, tasks and leases; neither progress nor documents.', {
    kind: choice(
      ['sqlite', 'mysql'],
      'sqlite',
      'sqlite (a file in the state folder, for one machine) or mysql (a schema that several processes share).',
    ),
    url: Type.Optional(
      secret(
        text('For mysql, with the name of the schema: mysql://user:password@host:port/millrace', {
          pattern: '^(mysql|mariadb)://[^/]',
          examples: ['mysql://user:password@host:3306/millrace'],
        }),
      ),
    ),
    ...login,
    prefix: text('Before the name of each of its tables in that schema.', {
      pattern: '^[A-Za-z][A-Za-z0-9_]{0,31}$',
      default: 'millrace_',
    }),
    tls: serverTls,
  }),
  cache: cacheType,
  upstreams: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), upstreamType, {
    description: 'What documents are enriched from, by name.',
    default: {},
  }),
  masks: group('Columns that pipeline files mask.', {
    secret: Type.Optional(
      secret(
        text('What hashes are keyed by, at least 16 characters: with another one all hashes are others.', {
          pattern: '^[^]{16,}$',
        }),
      ),
    ),
  }),
  roles: Type.Array(Type.Enum(['capture', 'deliver', 'control']), {
    default: ['capture', 'deliver', 'control'],
    minItems: 1,
    description:
      'What this process does. capture: one process at a time for each source, the others stand by; deliver: any number share the work; control: the HTTP server. Less than all needs log.kind: kafka and store.kind: mysql.',
  }),
  leaseSeconds: number(
    15,
    3,
    600,
    'After so long without a sign of the process that captures a source, another takes over. The same in all processes.',
  ),
  log: logType,
  delivery: group('Writing to targets.', {
    bulkMb: number(5, 0.01, 100, 'A request to a target is closed at this size ...'),
    bulkCount: integer(5000, 1, 100_000, '... or at so many documents ...'),
    batchAgeMs: integer(
      0,
      0,
      60_000,
      '... or when its first change has waited this long; 0 = at once, with what is there.',
    ),
    attemptsMax: integer(
      15,
      1,
      1000,
      'A document is put aside when the target failed on it so often without saying why, while it took others.',
    ),
    breakerCount: integer(
      100,
      1,
      100_000_000,
      'A pipeline stops, until it is told to go on, when at least so many documents newly failed alike ...',
    ),
    breakerShare: number(0.5, 0.001, 1, '... and they are at least this share of its documents of late.'),
    waitSecondsMax: number(
      30,
      1,
      3600,
      'Waits for a target grow as 1, 1, 2, 3, 5 seconds and so on, up to this.',
    ),
    pendingMb: number(1, 0.1, 1024, 'So much of what was read may wait to be written, in each lane.'),
    lookUpsPerSecond: integer(
      10_000,
      0,
      10_000_000,
      'Rows read from the table because a change did not show them, in each pipeline; 0 = without a limit.',
    ),
  }),
  documents: group('Building documents that hold rows of several tables, from each source.', {
    batch: integer(2000, 1, 10_000, 'Documents that are built by one query for each table ...'),
    batchRows: integer(
      50_000,
      100,
      1_000_000,
      '... or fewer, where they take more rows of a table than this.',
    ),
    batchMb: number(
      32,
      0.01,
      1024,
      '... or more bytes of rows. A document that takes more by itself is put aside.',
    ),
    queriesAtOnce: integer(
      4,
      1,
      64,
      'Reads of the database, each on a connection of its own, that may be under way at once.',
    ),
    queriesPerSecond: number(0, 0, 1_000_000, 'Queries of these reads; 0 = without a limit.'),
    rootsPerSecond: number(
      5000,
      1,
      1_000_000,
      'Documents that are built anew because of one row that many of them show: the rest of them waits its turn.',
    ),
  }),
  load: group('Reading whole tables.', {
    tag: text(
      'While a table is read for a pipeline (a first load, a reload, a refresh), its upstreams are asked at their endpoints of this tag, where they have one.',
      { pattern: '^[a-z][a-z0-9_-]*$', default: 'backfill' },
    ),
    chunkRows: integer(2000, 1, 100_000, 'Rows in one read.'),
    chunkMb: number(4, 0.01, 256, 'Bytes in one read.'),
    rowsPerSecond: number(0, 0, 10_000_000, 'Speed limit; 0 = none.'),
    undeliveredMb: number(
      8,
      0.1,
      4096,
      'Reading pauses while so much of it is not delivered, so that live changes stay fresh; never more than a quarter of log.ceilingGb.',
    ),
  }),
  capture: group('Reading changes.', {
    batchKb: number(512, 1, 65_536, 'Changes are appended to the log in pieces of at most this size.'),
  }),
  control: group('The HTTP server for status, health, metrics, and commands to the daemon.', {
    host: text('Address to listen on.', { default: '127.0.0.1' }),
    port: integer(8377, 0, 65_535, 'Port to listen on; 0 = any free one.'),
  }),
  alerts: alertsType,
  logger: group('Diagnostics.', {
    level: choice(['debug', 'info', 'warn', 'error'], 'info', 'The least level that is written.'),
    format: choice(['auto', 'json', 'pretty'], 'auto', 'auto = pretty on a terminal, JSON elsewhere.'),
  }),
  shutdownSeconds: number(30, 0, 3600, 'How long a stop waits for what is being written.'),
})

/** The library's types do not tell that its schemas are plain JSON Schema; they are. */
export const settingsSchema = settingsType as unknown as SchemaNode

export type Settings = Frozen<Static<typeof settingsType>>
export type SourceSettings = Frozen<Static<typeof sourceType>>
export type StoreSettings = Settings['store']
export type CacheSettings = Settings['cache']
export type TargetSettings = Frozen<Static<typeof targetType>>
