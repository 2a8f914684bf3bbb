/**
 * The stream of a source: connects, judges whether the server can go on from our place, reads, and connects again while
 * the trouble is transient; always from the last batch that was taken.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '../../change/change.ts'
import { Divergence, Failure } from '../../change/failure.ts'
import type { SourceBatch, TellServers } from '../source.ts'
import { BatchFlow } from './transactions/batch-flow.ts'
import { BinlogDump, randomServerId } from './binlog/binlog-client.ts'
import { connect, hangUp, type Connection, type MysqlSettings } from './server/connection.ts'
import { setBackFailure, setToAskFrom, wasSetBack } from './server/continuity.ts'
import { describeColumns, uniqueIndexes } from './schema/describe.ts'
import { ForeignKeys, readForeignKeys } from './schema/foreign-keys.ts'
import { parseGtidSet } from './gtid/gtid-set.ts'
import { FilesRemade, IdentityWatch, NumberReused } from './binlog/identity.ts'
import { demandMasked, hiddenColumns, noMasks } from './rows/masks.ts'
import { formatPosition, parsePosition, type Place } from './gtid/position.ts'
import { Resent } from './gtid/resent.ts'
import { failureOf, readAnew } from './server/server-errors.ts'
import { logsCascades, type ServerFacts } from './server/server-facts.ts'
import { CatchingUp, Servers, type Chosen, type Server } from './server/servers.ts'
import { lostColumns } from './rows/schema-match.ts'
import { TableMapCache, type TableContext } from './rows/table-map.ts'
import { TableSchemas } from './schema/table-schemas.ts'
import { ToldWait } from './server/told-wait.ts'
import { TransactionReader } from './transactions/transaction.ts'
import { refuseVersioned } from './schema/versioning.ts'
import { XaEnds } from './transactions/xa-ends.ts'

const heartbeatMsDefault = 5_000
const catchUpMsDefault = 30_000
const lookAroundMsDefault = 10_000
/** While a server catches up. */
const askAgainMs = 200
const backoffMsFirst = 250
const backoffMsMax = 30_000

type Interrupted = (failure: Failure) => void

export class BinlogStream {
  readonly #settings: MysqlSettings
  readonly #tables: readonly string[]
  readonly #servers: Servers
  /** How to reach the server that is read: whoever asks it something beside the stream keeps this object. */
  readonly #here: MysqlSettings
  #serverId: number
  /** Lets the server end the dump of a connection of ours that broke without its knowing. */
  #uuid = randomUUID()
  /** The last position that was given. */
  #position: Position | undefined
  #flow: BatchFlow | undefined
  #isReading = false
  #hasRead = false
  /** What was executed at a place that no server got in time. */
  #notCaughtUp: string | undefined
  /** The last place that was found broken, in words. */
  #broken: string | undefined
  /** Why this very connection is given up. */
  #leaving: Failure | undefined
  /** Outlives a connection, so that a table keeps its one definition. */
  readonly #maps = new TableMapCache()
  readonly #schemas: TableSchemas
  /** For those who read tables beside the stream. */
  readonly xaEnds = new XaEnds()

  constructor(settings: MysqlSettings, tables: readonly string[], tell: TellServers) {
    this.#settings = settings
    this.#here = { ...settings }
    this.#tables = tables
    this.#servers = new Servers(settings, placeOn, tell)
    this.#schemas = new TableSchemas(this.#here, tables, this.#maps)
    this.#serverId = settings.serverId ?? randomServerId()
  }

  /** How to reach the server that is read, or the first one while none is. */
  get here(): MysqlSettings {
    return this.#here
  }

  get isReading(): boolean {
    return this.#isReading
  }

  /** Whether it is or was reading. */
  get hasRead(): boolean {
    return this.#hasRead
  }

  get servers(): readonly Server[] {
    return this.#servers.all
  }

  /** Where in the files of that server the stream is; undefined = not known. */
  get reached(): BatchFlow['reached'] {
    return this.#flow?.reached
  }

  async *read(
    from: Position,
    signal: AbortSignal,
    interrupted: Interrupted = () => {},
  ): AsyncGenerator<SourceBatch> {
    this.#schemas.forget()
    let position = from
    let server: string | undefined
    for (let failures = 0; !signal.aborted; failures++) {
      let given: number | undefined
      try {
        const chosen = await this.#choose(position, signal, interrupted)
        if (server !== undefined && server !== chosen.facts.identity) {
          hangUp(chosen.connection)
          return
        }
        server = chosen.facts.identity
        given = 0
        for await (const batch of this.#readFrom(chosen, signal, interrupted)) {
          failures = 0
          given++
          yield batch
          position = batch.position
        }
      } catch (error) {
        if (signal.aborted) return
        const failure = failureOf(error, 'streaming the binlog')
        // What was given may not be kept yet: only what is kept says what is to be undone.
        if (failure instanceof Divergence && position !== from) return
        if (failure instanceof FilesRemade) position = wholeAgain(position)
        interrupted(this.#passing(failure, given))
      }
      if (!signal.aborted) await pause(failures, signal)
    }
  }

  /** A server that can go on. Waits, for a while, where it has not got everything yet that was read elsewhere. */
  async #choose(position: Position, signal: AbortSignal, interrupted: Interrupted): Promise<Chosen> {
    const place = parsePosition(position)
    const executed = place.executed.toString()
    // Once waited for is enough: what ends the wait may have reading begin again at the same place.
    const patienceMs = executed === this.#notCaughtUp ? 0 : (this.#settings.catchUpMs ?? catchUpMsDefault)
    const startedAtMs = performance.now()
    using wait = new ToldWait(new Failure('transient', this.#servers.asking), interrupted)
    for (;;) {
      try {
        return await this.#servers.choose(place, signal)
      } catch (error) {
        if (!(error instanceof CatchingUp)) throw error
        wait.why = error
        if (performance.now() >= startedAtMs + patienceMs) {
          this.#notCaughtUp = error.otherwise instanceof Divergence ? executed : undefined
          throw error.otherwise
        }
      }
      await sleep(askAgainMs, undefined, { signal })
    }
  }

  async *#readFrom(
    chosen: Chosen,
    signal: AbortSignal,
    interrupted: Interrupted,
  ): AsyncGenerator<SourceBatch> {
    const { connection, facts, place, server, comparesLast } = chosen
    const preparing = new Failure('transient', `preparing to read the binlog of ${server.address}`)
    using wait = new ToldWait(preparing, interrupted)
    const onAbort = () => hangUp(connection)
    signal.addEventListener('abort', onAbort)
    const leave = new AbortController()
    try {
      signal.throwIfAborted()
      this.#leaving = undefined
      this.#position = undefined
      Object.assign(this.#here, { host: server.settings.host, port: server.settings.port })
      this.#isReading = this.#hasRead = true
      this.#schemas.goOn(facts, place.executed)
      const resent = new Resent(place)
      const reader = await this.#readerAt(chosen, resent)
      this.xaEnds.begin(() => reader.reached.executed, performance.now())
      const identities = new IdentityWatch({
        flavor: facts.flavor,
        server: facts.identity,
        preciseTimes: tellsPreciseTimes(facts),
        last: place.last,
        lastAt: place.server === facts.identity ? { file: place.file, offset: place.offset } : undefined,
        compares: comparesLast,
        resent,
        isInside: place.inside?.server === facts.identity,
      })
      const dump = await BinlogDump.start(connection, {
        executed: setToAskFrom(place, comparesLast),
        serverId: this.#serverId,
        uuid: this.#uuid,
        heartbeatMs: this.#settings.heartbeatMs ?? heartbeatMsDefault,
      })
      wait[Symbol.dispose]()
      void this.#lookAround(chosen, AbortSignal.any([signal, leave.signal]))
      const flow = new BatchFlow(dump, reader, identities, {
        foreignKeys: () => this.#foreignKeysAgain(facts),
        learn: (table, reached) => this.#schemas.learn(table, reached, signal),
        learnAhead: (reached) => this.#schemas.learnAhead(reached, signal),
      })
      this.#flow = flow
      for await (const batch of flow.batches()) {
        this.#position = batch.position
        yield batch
        // What has arrived and is still packed would go on for long.
        if (signal.aborted) return
      }
    } catch (error) {
      throw await this.#meaningOf(error, chosen)
    } finally {
      this.#flow = undefined
      this.xaEnds.stop()
      this.#isReading = false
      leave.abort()
      signal.removeEventListener('abort', onAbort)
      hangUp(connection)
    }
  }

  /** Where there are several servers: looks at the others now and then, and leaves this one for a preferred one. */
  async #lookAround(chosen: Chosen, signal: AbortSignal): Promise<void> {
    if (!this.#servers.areSeveral) return
    try {
      for (;;) {
        await sleep(this.#settings.lookAroundMs ?? lookAroundMsDefault, undefined, { signal })
        const place = this.#position === undefined ? chosen.place : parsePosition(this.#position)
        const preferred = await this.#servers.lookAround(chosen.server, place, signal)
        if (preferred === undefined) continue
        this.#leaving = new Failure('transient', `leaving ${chosen.server.address} for ${preferred.address}`)
        return hangUp(chosen.connection)
      }
    } catch (error) {
      if (!signal.aborted) this.#leaving = failureOf(error, 'looking at the other servers')
      if (!signal.aborted) hangUp(chosen.connection)
    }
  }

  /** What an error in the middle of a dump means. */
  async #meaningOf(error: unknown, { server, facts, place, executed }: Chosen): Promise<unknown> {
    if (this.#leaving !== undefined) return this.#leaving
    if (!(error instanceof NumberReused)) return error
    const connection = await connect(server.settings)
    try {
      if (await wasSetBack({ connection, facts }, place)) return setBackFailure(error.message)
      return new Divergence(error.message, {
        resume: formatPosition({ executed }),
        undone: place.last?.gtid ?? '',
      })
    } finally {
      hangUp(connection)
    }
  }

  /** The failure, if it passes by itself; throws it otherwise. `given`: batches of this connection; undefined = no server could go on. */
  #passing(failure: Failure, given: number | undefined): Failure {
    if (failure.kind === 'transient' || failure.kind === 'overload') return failure
    const { message } = failure
    if (failure.kind === 'conflict' && this.#settings.serverId === undefined) {
      this.#serverId = randomServerId()
      this.#uuid = randomUUID()
      return new Failure('transient', `${message}; going on under the id ${this.#serverId}`)
    }
    // Asked for once more: what broke on its way is whole then, what broke on the server's disk is broken again.
    if (failure.kind === 'corrupt' && this.#isNew(message))
      return new Failure('transient', `${message}; reading it once more`)
    // The server's files went away under the dump: the next choice finds out what is there now, or on another server.
    if (given !== undefined && isOfFiles(failure) && (given > 0 || this.#isNew(message)))
      return new Failure('transient', message)
    throw failure
  }

  #isNew(message: string): boolean {
    const isNew = message !== this.#broken
    this.#broken = message
    return isNew
  }

  async #readerAt({ connection, facts, place }: Chosen, resent: Resent): Promise<TransactionReader> {
    await this.#checkMasks(connection)
    const options = {
      flavor: facts.flavor,
      server: facts.identity,
      tables: this.#tables,
      context: {
        ...tableContext(this.#settings, this.#tables, await this.#uniqueKeys(connection)),
        flavor: facts.flavor,
        cache: this.#maps,
        schemas: this.#schemas,
      },
      schemas: this.#schemas,
      xaEnds: this.xaEnds,
      foreignKeys: await this.#foreignKeys(connection, facts),
      place,
      resent,
      namesTransactions: this.#settings.namesTransactions ?? false,
    }
    return new TransactionReader(options, facts.variables.get('binlog_checksum') === 'CRC32')
  }

  /** Nothing is read while a column that is to be masked may have another name. */
  async #checkMasks(connection: Connection): Promise<void> {
    for (const table of Object.keys(this.#settings.masks ?? {})) {
      const columns = await describeColumns(connection, table)
      const { masks } = hiddenColumns(this.#settings, table)
      // Of a table that is gone only changes from before come.
      if (columns.length > 0)
        demandMasked(
          table,
          masks,
          columns.map(({ name }) => name),
        )
    }
  }

  /** Of tables without a primary key, and without one in the configuration: the key that the server itself would take. */
  async #uniqueKeys(connection: Connection): Promise<Readonly<Record<string, readonly string[]>>> {
    const keys: Record<string, readonly string[]> = {}
    for (const table of this.#tables) {
      await refuseVersioned(connection, table)
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
    const connection = await connect(this.#here)
    try {
      return await readForeignKeys(connection, this.#tables)
    } finally {
      hangUp(connection)
    }
  }
}

/** The place in the words of this server's flavor; the beginning has none of its own. */
function placeOn(place: Place, { flavor }: ServerFacts): Place {
  if (place.executed.isEmpty) return { ...place, executed: parseGtidSet('', flavor) }
  if (place.executed.flavor === flavor) return place
  throw new Failure('lost', `the position is one of ${place.executed.flavor}, the server is ${flavor}`, {
    remedy: `positions cannot be carried from one to the other: ${readAnew}`,
  })
}

/** The position from which the transaction under way is given again whole. */
function wholeAgain(position: Position): Position {
  const place = parsePosition(position)
  const last = place.last === undefined ? undefined : { ...place.last, server: '' }
  return formatPosition({ ...place, inside: undefined, last })
}

/** Whether the time of a commit is told to the microsecond, and as on the server where it was made. */
function tellsPreciseTimes({ flavor, variables }: ServerFacts): boolean {
  const [major = 0] = (variables.get('version') ?? '').split('.').map(Number)
  return flavor === 'mysql' && major >= 8
}

function tableContext(
  settings: MysqlSettings,
  tables: readonly string[],
  keys: Readonly<Record<string, readonly string[]>>,
): Pick<TableContext, 'captured' | 'excluded' | 'masks' | 'keyColumns'> {
  const captured = new Map(tables.map((table) => [table, hiddenColumns(settings, table)]))
  return {
    captured: (table) => captured.has(table),
    excluded: (table) => captured.get(table)?.excluded ?? new Set(),
    masks: (table) => captured.get(table)?.masks ?? noMasks,
    keyColumns: (table) => keys[table],
  }
}

/** Doubles each time up to the maximum, and is spread so that many readers do not come back together. */
async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const most = Math.min(backoffMsMax, backoffMsFirst * 2 ** Math.min(failures, 10))
  // An aborted pause has only ended early.
  await sleep(most * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
}

/** What was read before cannot be gone on from; a history of its own, or columns that nobody knows any more, are no matter of files. */
function isOfFiles(failure: Failure): boolean {
  return failure.kind === 'lost' && !(failure instanceof Divergence || lostColumns(failure))
}
