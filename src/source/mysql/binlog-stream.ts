/**
 * The stream of a source: connects, judges whether the server can go on from our place, reads, and connects again while
 * the trouble is transient; always from the last batch that was taken.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { SourceBatch } from '../source.ts'
import { BatchFlow } from './batch-flow.ts'
import { BinlogDump } from './binlog-client.ts'
import { connect, hangUp, type Connection, type MysqlSettings } from './connection.ts'
import { checkContinuity } from './continuity.ts'
import { uniqueIndexes } from './describe.ts'
import { ForeignKeys, readForeignKeys } from './foreign-keys.ts'
import { parseGtidSet } from './gtid-set.ts'
import type { Flavor } from './gtid.ts'
import { parsePosition, type Place } from './position.ts'
import { failureOf } from './server-errors.ts'
import { logsCascades, readServerFacts, refuseServer, type ServerFacts } from './server-facts.ts'
import { TableMapCache, type TableContext } from './table-map.ts'
import { TransactionReader } from './transaction.ts'
import { XaBranches } from './xa.ts'

const heartbeatMsDefault = 5_000
const catchUpMsDefault = 30_000
const backoffMsFirst = 250
const backoffMsMax = 30_000

export class BinlogStream {
  readonly #settings: MysqlSettings
  readonly #tables: readonly string[]
  readonly #serverId: number
  /** Lets the server end the dump of a connection of ours that broke without its knowing. */
  readonly #uuid = randomUUID()
  /** Outlives a connection, so that a table keeps its one definition. */
  readonly #maps = new TableMapCache()
  readonly #branches = new XaBranches()

  constructor(settings: MysqlSettings, tables: readonly string[]) {
    this.#settings = settings
    this.#tables = tables
    this.#serverId = settings.serverId ?? randomServerId()
  }

  async *read(
    from: Position,
    signal: AbortSignal,
    interrupted: (failure: Failure) => void = () => {},
  ): AsyncGenerator<SourceBatch> {
    let position = from
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        for await (const batch of this.#readOnce(position, signal)) {
          failures = 0
          yield batch
          position = batch.position
        }
      } catch (error) {
        if (signal.aborted) return
        const failure = failureOf(error, 'streaming the binlog')
        if (failure.kind !== 'transient' && failure.kind !== 'overload') throw failure
        interrupted(failure)
      }
      if (!signal.aborted) await pause(failures, signal)
    }
  }

  async *#readOnce(from: Position, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const connection = await connect(this.#settings)
    const onAbort = () => hangUp(connection)
    signal.addEventListener('abort', onAbort)
    try {
      signal.throwIfAborted()
      const facts = await readServerFacts(connection)
      refuseServer(facts)
      const place = placeOn(from, facts.flavor)
      const catchUpMs = this.#settings.catchUpMs ?? catchUpMsDefault
      await checkContinuity(connection, place.executed, catchUpMs, signal)
      const reader = await this.#readerAt(connection, facts, place)
      const dump = await BinlogDump.start(connection, {
        executed: place.executed,
        serverId: this.#serverId,
        uuid: this.#uuid,
        heartbeatMs: this.#settings.heartbeatMs ?? heartbeatMsDefault,
      })
      yield* new BatchFlow(dump, reader, () => this.#foreignKeysAgain(facts)).batches()
    } finally {
      signal.removeEventListener('abort', onAbort)
      hangUp(connection)
    }
  }

  async #readerAt(connection: Connection, facts: ServerFacts, place: Place): Promise<TransactionReader> {
    const options = {
      flavor: facts.flavor,
      server: facts.identity,
      tables: this.#tables,
      context: {
        ...tableContext(this.#settings, this.#tables, await this.#uniqueKeys(connection)),
        flavor: facts.flavor,
        cache: this.#maps,
      },
      foreignKeys: await this.#foreignKeys(connection, facts),
      branches: this.#branches,
      place,
    }
    return new TransactionReader(options, facts.variables.get('binlog_checksum') === 'CRC32')
  }

  /** Of tables without a primary key, and without one in the configuration: the key that the server itself would take. */
  async #uniqueKeys(connection: Connection): Promise<Readonly<Record<string, readonly string[]>>> {
    const keys: Record<string, readonly string[]> = {}
    for (const table of this.#tables) {
      const [first] = await uniqueIndexes(connection, table)
      if (first !== undefined) keys[table] = first.columns
    }
    return { ...keys, ...this.#settings.keys }
  }

  async #foreignKeys(connection: Connection, facts: ServerFacts): Promise<ForeignKeys> {
    return logsCascades(facts)
      ? new ForeignKeys([], this.#tables)
      : await readForeignKeys(connection, this.#tables)
  }

  /** On a connection of its own, because the one of the dump answers no questions. */
  async #foreignKeysAgain(facts: ServerFacts): Promise<ForeignKeys> {
    if (logsCascades(facts)) return new ForeignKeys([], this.#tables)
    const connection = await connect(this.#settings)
    try {
      return await readForeignKeys(connection, this.#tables)
    } finally {
      hangUp(connection)
    }
  }
}

/** The place in the words of this server's flavor; the beginning has none of its own. */
function placeOn(position: Position, flavor: Flavor): Place {
  const place = parsePosition(position)
  if (place.executed.isEmpty) return { ...place, executed: parseGtidSet('', flavor) }
  if (place.executed.flavor === flavor) return place
  throw new Failure('lost', `the position is one of ${place.executed.flavor}, the server is ${flavor}`, {
    remedy: 'load the pipelines of this source anew: positions cannot be carried from one to the other',
  })
}

function tableContext(
  settings: MysqlSettings,
  tables: readonly string[],
  keys: Readonly<Record<string, readonly string[]>>,
): Pick<TableContext, 'captured' | 'excluded' | 'keyColumns'> {
  const captured = new Set(tables)
  const nothing: ReadonlySet<string> = new Set()
  const excluded = new Map(
    Object.entries(settings.excluded ?? {}).map(([table, names]) => [table, new Set(names)]),
  )
  return {
    captured: (table) => captured.has(table),
    excluded: (table) => excluded.get(table) ?? nothing,
    keyColumns: (table) => keys[table],
  }
}

/** Above 2^30, where people seldom number their servers. */
function randomServerId(): number {
  return 2 ** 30 + Math.floor(Math.random() * 2 ** 31)
}

/** Doubles each time up to the maximum, and is spread so that many readers do not come back together. */
async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const most = Math.min(backoffMsMax, backoffMsFirst * 2 ** Math.min(failures, 10))
  // An aborted pause has only ended early.
  await sleep(most * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
}
