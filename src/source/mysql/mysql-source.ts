/** A MySQL or MariaDB server as a source of changes. */
import type { Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type {
  Chunk,
  ChunkRequest,
  Finding,
  Headroom,
  KeyedRows,
  KeysRequest,
  Question,
  QuestionFacts,
  Source,
  SourceAdmin,
  SourceBatch,
  TableDescription,
  TellServers,
  View,
  ViewRequest,
} from '../source.ts'
import { Answers } from './answers.ts'
import { BinlogStream } from './binlog-stream.ts'
import { connect, hangUp, serverAddress, type Connection, type MysqlSettings } from './connection.ts'
import { describeTable, indexColumns, tableOptions, type TableOptions } from './describe.ts'
import { parseGtidSet } from './gtid-set.ts'
import type { Flavor } from './gtid.ts'
import { covers, formatPosition, showPosition } from './position.ts'
import { examine } from './preflight.ts'
import {
  readBinlogFiles,
  readExecuted,
  readPurged,
  readRetentionSeconds,
  readServerFacts,
  type BinlogFile,
} from './server-facts.ts'
import { describeQuestion, explainQuestion } from './question.ts'
import { KnownShapes } from './known-shapes.ts'
import { readView } from './related.ts'
import { readChunk, readKeys } from './snapshot.ts'

/**
 * Reads nothing and connects to nothing until it is asked. `tables` are all that will be read, as `schema.table`; `tell` is
 * told how the servers are while they are read.
 */
export function createMysqlSource(
  settings: MysqlSettings,
  tables: readonly string[],
  tell: TellServers = () => {},
): Source & SourceAdmin {
  return new MysqlSource(settings, tables, tell)
}

/** A connection, and which server it reaches. */
interface Session {
  readonly connection: Connection
  readonly flavor: Flavor
  readonly address: string
}

class MysqlSource implements Source, SourceAdmin {
  readonly #settings: MysqlSettings
  readonly #stream: BinlogStream
  readonly #shapes = new KnownShapes()
  readonly #answers = new Answers()
  /** Connections that wait for their next use. */
  readonly #idle: Session[] = []
  #closed = false

  constructor(settings: MysqlSettings, tables: readonly string[], tell: TellServers) {
    this.#settings = settings
    this.#stream = new BinlogStream(settings, tables, tell)
  }

  read(
    from: Position,
    signal: AbortSignal,
    interrupted?: (failure: Failure) => void,
  ): AsyncIterable<SourceBatch> {
    return this.#stream.read(from, signal, interrupted)
  }

  async head(): Promise<Position> {
    return await this.#with(async ({ connection, flavor }) =>
      formatPosition({ executed: await readExecuted(connection, flavor) }),
    )
  }

  async chunk(request: ChunkRequest, signal: AbortSignal): Promise<Chunk> {
    const options = tableOptions(this.#settings, request.table)
    return await this.#with(async ({ connection, flavor }) => {
      // Of the very server that the rows are read from: what they show is in no other's set for certain.
      const head = async () => formatPosition({ executed: await readExecuted(connection, flavor) })
      const { xaEnds } = this.#stream
      return await readChunk(request, { connection, flavor, options, xaEnds }, head, signal)
    })
  }

  async rows(request: KeysRequest, signal: AbortSignal): Promise<KeyedRows> {
    const options = tableOptions(this.#settings, request.table)
    const { xaEnds } = this.#stream
    return await this.#with(
      async (session) => await readKeys(request, { ...session, options, xaEnds }, signal),
    )
  }

  async view<Result>(
    request: ViewRequest,
    read: (view: View) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const reader = {
      xaEnds: this.#stream.xaEnds,
      shapes: this.#shapes,
      answers: this.#answers,
      optionsOf: (table: string): TableOptions => tableOptions(this.#settings, table),
    }
    return await this.#with(
      async (session) => await readView(request, { ...session, ...reader }, read, signal),
    )
  }

  covers(position: Position, other: Position): boolean {
    return covers(position, other)
  }

  async earliest(): Promise<Position> {
    return await this.#with(async ({ connection, flavor }) =>
      formatPosition({ executed: await readPurged(connection, flavor) }),
    )
  }

  parse(text: string): Position {
    return formatPosition({ executed: parseGtidSet(text) })
  }

  show(position: Position): string {
    return showPosition(position)
  }

  async describe(table: string): Promise<TableDescription> {
    const options = tableOptions(this.#settings, table)
    return await this.#with(async ({ connection }) => {
      const { table: definition, excluded, rowsEstimate } = await describeTable(connection, table, options)
      return { table: definition, excluded, rowsEstimate }
    })
  }

  async describeQuestion(question: Question): Promise<QuestionFacts> {
    return await this.#with(async ({ connection }) => await describeQuestion(connection, question))
  }

  async explainQuestion(question: Question): Promise<readonly Finding[]> {
    const options = tableOptions(this.#settings, question.table)
    return await this.#with(async ({ connection }) => await explainQuestion(connection, question, options))
  }

  async indexes(table: string): Promise<readonly (readonly string[])[]> {
    return await this.#with(async ({ connection }) => await indexColumns(connection, table))
  }

  async examine(tables: readonly string[]): Promise<readonly Finding[]> {
    const servers = this.#stream.servers
    const [first] = servers
    if (servers.length === 1 && first !== undefined) return await examine(first.settings, tables)
    const found = await Promise.all(
      servers.map(async ({ address, settings }) => {
        const findings = await examine(settings, tables)
        return findings.map((finding) => ({ ...finding, fact: `${address}: ${finding.fact}` }))
      }),
    )
    return withoutAbsent(found)
  }

  async headroom(): Promise<Headroom> {
    const { reached } = this.#stream
    return await this.#with(async ({ connection }) => ({
      keptSeconds: await readRetentionSeconds(connection),
      behindBytes: reached === undefined ? undefined : bytesAfter(await readBinlogFiles(connection), reached),
    }))
  }

  async close(): Promise<void> {
    this.#closed = true
    const idle = this.#idle.splice(0)
    await Promise.allSettled(idle.map(async ({ connection }) => await connection.end()))
  }

  /**
   * Uses a connection that nobody else uses meanwhile; one that an error may have harmed is not used again. A connection
   * that broke while it waited says so at its next use; then a new one is tried. All uses only read.
   */
  async #with<Result>(use: (session: Session) => Promise<Result>): Promise<Result> {
    const waiting = this.#idle.pop()
    // The stream may have gone on at another server.
    if (waiting !== undefined && waiting.address !== addressOf(this.#stream.here)) hangUp(waiting.connection)
    else if (waiting !== undefined) {
      try {
        return await this.#useOnce(waiting, use)
      } catch (error) {
        if (!(error instanceof Failure && error.kind === 'transient')) throw error
      }
    }
    return await this.#useOnce(await this.#open(), use)
  }

  async #useOnce<Result>(session: Session, use: (session: Session) => Promise<Result>): Promise<Result> {
    let result: Result
    try {
      result = await use(session)
    } catch (error) {
      hangUp(session.connection)
      throw error
    }
    if (this.#closed) hangUp(session.connection)
    else this.#idle.push(session)
    return result
  }

  /** To the server that is read. Before the first is, to the first that answers. */
  async #open(): Promise<Session> {
    const { here, isReading, hasRead } = this.#stream
    if (isReading) return await openAt(here)
    const servers = this.#stream.servers.map(({ settings }) => settings)
    // One that has just come back may lack what the others have, tables even: which will do is for the stream to find out.
    if (hasRead && servers.length > 1)
      throw new Failure('transient', 'the source is about to go on at one of its servers')
    let failure: unknown
    for (const settings of servers) {
      try {
        return await openAt(settings)
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        failure ??= error
      }
    }
    throw failure
  }
}

async function openAt(settings: MysqlSettings): Promise<Session> {
  const connection = await connect(settings)
  try {
    const { flavor } = await readServerFacts(connection)
    return { connection, flavor, address: addressOf(settings) }
  } catch (error) {
    hangUp(connection)
    throw error
  }
}

function addressOf(settings: MysqlSettings): string {
  const { host, port } = serverAddress(settings)
  return `${host}:${port}`
}

/** What the files hold after a place; undefined = its file is not among them. */
function bytesAfter(
  files: readonly BinlogFile[],
  { file, offset }: { readonly file: string; readonly offset: number },
): number | undefined {
  const at = files.findIndex(({ name }) => name === file)
  if (at < 0) return undefined
  const bytes = files.slice(at).reduce((sum, each) => sum + each.bytes, 0)
  return Math.max(0, bytes - offset)
}

/** A server that is away is only worth a warning while another one of the topology answers. */
function withoutAbsent(found: readonly (readonly Finding[])[]): readonly Finding[] {
  if (found.every(isAway)) return found.flat()
  return found.flatMap((findings) =>
    isAway(findings) ? findings.map((finding) => ({ ...finding, level: 'warning' as const })) : findings,
  )
}

function isAway(findings: readonly Finding[]): boolean {
  return findings.some(({ fact }) => fact.endsWith(': connection'))
}
