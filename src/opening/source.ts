/** Opens a source: the one place that knows what kinds there are. */
import { Failure } from '../change/failure.ts'
import type { OpenSource } from '../cli/parts.ts'
import { sourceConnection } from '../config/connection.ts'
import { masksOf } from '../config/masks.ts'
import type { Pipeline } from '../config/pipeline.ts'
import type { SourceSettings } from '../config/schema.ts'
import { Client } from '../log/kafka/client.ts'
import { brokersOf } from './log.ts'
import { tlsOf } from './pem.ts'
import { createDebeziumSource } from '../source/debezium/debezium-source.ts'
import { isOffsets, showOffsets } from '../source/debezium/offsets.ts'
import type { MysqlSettings } from '../source/mysql/server/connection.ts'
import { createMysqlSource } from '../source/mysql/mysql-source.ts'
import { showPosition as showMysqlPosition } from '../source/mysql/gtid/position.ts'
import type { Source, TellServers } from '../source/source.ts'
import type { Position } from '../change/change.ts'

export interface SourceWish {
  readonly name: string
  readonly settings: SourceSettings
  /** Where rows are read for documents; undefined = in the source itself. */
  readonly replica: SourceSettings | undefined
  readonly pipelines: readonly Pipeline[]
  /** By table, the columns that nobody wants. */
  readonly unused: Readonly<Record<string, readonly string[]>>
  /** What hashes of masked columns are keyed by. */
  readonly maskKey: string | undefined
}

export function openSource(
  wish: SourceWish,
  tables: readonly string[],
  tell: TellServers,
): Source & OpenSource {
  if (wish.settings.kind === 'mysql') return createMysqlSource(mysqlSettings(wish), tables, tell)
  const { settings, unused } = wish
  const keys = keysOf(wish.pipelines)
  refuseMasks(wish)
  const readers = tables.map((table) => ({
    table,
    excluded: unused[table] ?? [],
    columns: typesOf(table, settings.types),
    key: keys[table],
  }))
  return createDebeziumSource(
    { topic: settings.topic, tables: readers },
    new Client(brokersOf(settings.kafka)),
  )
}

/** How its server is reached. Throws a Failure of kind `configuration` where there is none. */
export function mysqlSettings(wish: SourceWish): MysqlSettings {
  const { name, settings, replica, pipelines, unused, maskKey } = wish
  const { waitSeconds, otherwise } = settings.reads
  const server = replica === undefined ? undefined : serverSettings(settings.reads.from ?? '', replica)
  return {
    ...serverSettings(name, settings),
    ...(server === undefined ? {} : { reads: { server, waitMs: waitSeconds * 1000, otherwise } }),
    excluded: unused,
    masks: masksOf(pipelines),
    ...(maskKey === undefined ? {} : { maskKey }),
    keys: keysOf(pipelines),
    namesTransactions: pipelines.some(({ target }) => target.metadata),
  }
}

/** Whatever is read there. */
function serverSettings(name: string, settings: SourceSettings): MysqlSettings {
  if (settings.kind !== 'mysql')
    throw new Failure(
      'configuration',
      `the source ${name} is no server that could be asked: ${settings.kind}`,
    )
  const tls = tlsOf(settings.tls)
  return {
    name,
    ...sourceConnection(settings),
    ...(tls === undefined ? {} : { tls }),
    ...(settings.serverId === 0 ? {} : { serverId: settings.serverId }),
    hosts: settings.hosts,
    prefer: settings.prefer,
    catchUpMs: settings.catchUpSeconds * 1000,
    heartbeatMs: settings.heartbeatSeconds * 1000,
    readTimeoutMs: settings.reads.timeoutSeconds * 1000,
  }
}

/** Whoever else reads the topics sees what is in them: only the connector can mask it. */
function refuseMasks({ name, pipelines }: SourceWish): void {
  const masked = Object.entries(masksOf(pipelines)).find(([, masks]) => Object.keys(masks).length > 0)
  if (masked === undefined) return
  const [table] = masked
  throw new Failure(
    'configuration',
    `masks of ${table}: the source ${name} is a topic, which holds the plain values`,
    {
      remedy:
        'let the connector mask them (column.mask.hash.v2, column.truncate.to), or leave them out: exclude',
    },
  )
}

/** For people; whichever source it is of. */
export function showPosition(position: Position): string {
  return isOffsets(position) ? showOffsets(position) : showMysqlPosition(position)
}

/** By column; each is written `SCHEMA.TABLE.COLUMN: TYPE`. */
function typesOf(table: string, types: readonly string[]): Readonly<Record<string, string>> {
  const own = types.filter((text) => text.startsWith(`${table}.`))
  return Object.fromEntries(
    own.map((text) => {
      const colon = text.lastIndexOf(':')
      return [text.slice(table.length + 1, colon), text.slice(colon + 1).trim()]
    }),
  )
}

function keysOf(pipelines: readonly Pipeline[]): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    pipelines.flatMap(({ definition, key }) => (key === undefined ? [] : [[definition.table, key]])),
  )
}
