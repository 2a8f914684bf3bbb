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
  ReadCost,
} from '../source.ts'
import { Answers } from './reading/answers.ts'
import { BinlogStream } from './binlog-stream.ts'
import type { MysqlSettings } from './server/connection.ts'
import { describeTable, indexColumns, tableOptions, type TableOptions } from './schema/describe.ts'
import { parseGtidSet } from './gtid/gtid-set.ts'
import { covers, formatPosition, showPosition } from './gtid/position.ts'
import { examine } from './preflight/preflight.ts'
import { readBinlogFiles, readPurged, readRetentionSeconds, type BinlogFile } from './server/server-facts.ts'
import { describeQuestion, explainQuestion } from './reading/question.ts'
import { KnownShapes } from './schema/known-shapes.ts'
import { readHead } from './reading/read-view.ts'
import { ReadingReplica, type RowReader } from './reading/reading-replica.ts'
import { readView } from './reading/related.ts'
import { addressOf, openSession, Sessions, type Session } from './server/sessions.ts'
import { addCosts, readCost } from './server/session-cost.ts'
import { readChunk, readKeys } from './reading/snapshot.ts'

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

class MysqlSource implements Source, SourceAdmin {
  readonly #settings: MysqlSettings
  readonly #stream: BinlogStream
  readonly #cached = { shapes: new KnownShapes(), answers: new Answers() }
  readonly #sessions: Sessions
  /** Where rows are read for documents; undefined = where the changes come from. */
  readonly #replica: ReadingReplica | undefined

  constructor(settings: MysqlSettings, tables: readonly string[], tell: TellServers) {
    this.#settings = settings
    this.#stream = new BinlogStream(settings, tables, tell)
    // The stream may have gone on at another server, or be about to.
    const isHere = ({ address }: Session): boolean =>
      !this.#isBetween && address === addressOf(this.#stream.here)
    this.#sessions = new Sessions(() => this.#open(), isHere)
    this.#replica = settings.reads === undefined ? undefined : new ReadingReplica(settings.reads)
  }

  read(
    from: Position,
    signal: AbortSignal,
    interrupted?: (failure: Failure) => void,
  ): AsyncIterable<SourceBatch> {
    return this.#stream.read(from, signal, interrupted)
  }

  async head(): Promise<Position> {
    return await this.#sessions.with(readHead)
  }

  async chunk(request: ChunkRequest, signal: AbortSignal): Promise<Chunk> {
    const options = tableOptions(this.#settings, request.table)
    const { xaEnds } = this.#stream
    return await this.#sessions.with(
      async (session) => await readChunk(request, { ...session, options, xaEnds }, signal),
    )
  }

  async rows(request: KeysRequest, signal: AbortSignal): Promise<KeyedRows> {
    const options = tableOptions(this.#settings, request.table)
    const { xaEnds } = this.#stream
    return await this.#reading(
      async (reader) => await readKeys(request, { ...reader, options, xaEnds }, signal),
    )
  }

  async view<Result>(
    request: ViewRequest,
    read: (view: View) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { xaEnds } = this.#stream
    const optionsOf = (table: string): TableOptions => tableOptions(this.#settings, table)
    return await this.#reading(
      async (reader) => await readView(request, { ...reader, xaEnds, optionsOf }, read, signal),
    )
  }

  covers(position: Position, other: Position): boolean {
    return covers(position, other)
  }

  async earliest(): Promise<Position> {
    return await this.#sessions.with(async ({ connection, flavor }) =>
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
    return await this.#sessions.with(async ({ connection }) => {
      const { table: definition, excluded, rowsEstimate } = await describeTable(connection, table, options)
      return { table: definition, excluded, rowsEstimate }
    })
  }

  async describeQuestion(question: Question): Promise<QuestionFacts> {
    return await this.#sessions.with(async ({ connection }) => await describeQuestion(connection, question))
  }

  async explainQuestion(question: Question): Promise<readonly Finding[]> {
    const options = tableOptions(this.#settings, question.table)
    return await this.#sessions.with(
      async ({ connection }) => await explainQuestion(connection, question, options),
    )
  }

  async indexes(table: string): Promise<readonly (readonly string[])[]> {
    return await this.#sessions.with(async ({ connection }) => await indexColumns(connection, table))
  }

  async examine(tables: readonly string[]): Promise<readonly Finding[]> {
    const found = await this.#examineServers(tables)
    if (this.#replica === undefined || isAway(found)) return found
    return [...found, await this.#replica.examine(await this.head())]
  }

  async #examineServers(tables: readonly string[]): Promise<readonly Finding[]> {
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
    return await this.#sessions.with(async ({ connection }) => ({
      keptSeconds: await readRetentionSeconds(connection),
      behindBytes: reached === undefined ? undefined : bytesAfter(await readBinlogFiles(connection), reached),
    }))
  }

  async cost(): Promise<ReadCost> {
    const here = await this.#sessions.each(({ connection }) => readCost(connection))
    return addCosts([...here, ...((await this.#replica?.costs()) ?? [])])
  }

  async close(): Promise<void> {
    await this.#replica?.close()
    await this.#sessions.close()
  }

  /** Where rows are read for documents. */
  async #reading<Result>(use: (reader: RowReader) => Promise<Result>): Promise<Result> {
    const here = async (): Promise<Result> =>
      await this.#sessions.with(async (session) => await use({ ...session, ...this.#cached }))
    return this.#replica === undefined ? await here() : await this.#replica.with(use, here)
  }

  /**
   * Whether it is not known at which of its servers the source goes on. One that has just come back may lack what the others
   * have, tables even, or have what they never get: which will do is for the stream to find out.
   */
  get #isBetween(): boolean {
    const { isReading, hasRead, servers } = this.#stream
    return hasRead && !isReading && servers.length > 1
  }

  /** To the server that is read. Before the first is, to the first that answers. */
  async #open(): Promise<Session> {
    const { here, isReading } = this.#stream
    if (isReading) return await openSession(here)
    const servers = this.#stream.servers.map(({ settings }) => settings)
    if (this.#isBetween) throw new Failure('transient', 'the source is about to go on at one of its servers')
    let failure: unknown
    for (const settings of servers) {
      try {
        return await openSession(settings)
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        failure ??= error
      }
    }
    throw failure
  }
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
  return findings.some(({ fact }) => fact === 'connection' || fact.endsWith(': connection'))
}
