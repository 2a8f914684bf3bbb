/** Reading a source in tests. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Barrier, Change, Position } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { textOf, unpackRow } from '../../src/change/row.ts'
import type { MysqlSettings } from '../../src/source/mysql/server/connection.ts'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { SourceBatch } from '../../src/source/source.ts'
import type { SqlServer } from '../stack/sql-server.ts'

const waitMsMax = 180_000

/** Reads in the background and keeps what came. */
export class Reading {
  readonly from: Position
  readonly batches: SourceBatch[] = []
  /** What interrupted the stream. */
  readonly told: Failure[] = []
  readonly #source: ReturnType<typeof createMysqlSource>
  readonly #server: SqlServer
  readonly #control = new AbortController()
  readonly #running: Promise<void>
  #wake = Promise.withResolvers<undefined>()
  #failure: Error | undefined

  constructor(source: ReturnType<typeof createMysqlSource>, server: SqlServer, from: Position) {
    this.#source = source
    this.#server = server
    this.from = from
    this.#running = this.#run()
  }

  get changes(): readonly Change[] {
    return this.batches.flatMap(changesOf)
  }

  get barriers(): readonly Barrier[] {
    return this.batches.flatMap(({ barriers }) => barriers)
  }

  get position(): Position {
    return this.batches.at(-1)?.position ?? this.from
  }

  /** Until everything that the server has executed now was given. */
  async untilHead(): Promise<void> {
    const asking = createMysqlSource(settingsOf(this.#server), [])
    const head = await asking.head()
    await asking.close()
    const late = AbortSignal.timeout(waitMsMax)
    while (!this.#source.covers(this.position, head)) {
      if (this.#failure !== undefined) throw this.#failure
      if (late.aborted) throw new Error(`at ${this.position}, the head is ${head}`)
      await Promise.race([this.#wake.promise, once(late, 'abort')])
    }
  }

  /** Until one batch more was given. */
  async untilNext(): Promise<void> {
    if (this.#failure === undefined) await this.#wake.promise
    if (this.#failure !== undefined) throw this.#failure
  }

  async end(): Promise<void> {
    this.#control.abort()
    await this.#running
    await this.#source.close()
    if (this.#failure !== undefined) throw this.#failure
  }

  async #run(): Promise<void> {
    try {
      const interrupted = (failure: Failure): void => void this.told.push(failure)
      for await (const batch of this.#source.read(this.from, this.#control.signal, interrupted)) {
        this.batches.push(batch)
        this.#notify()
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
      this.#notify()
    }
  }

  #notify(): void {
    this.#wake.resolve(undefined)
    this.#wake = Promise.withResolvers()
  }
}

/** From the server's head, unless a place is given. */
export async function startReading(
  server: SqlServer,
  tables: readonly string[],
  options: { readonly from?: Position; readonly settings?: Partial<MysqlSettings> } = {},
): Promise<Reading> {
  const source = createMysqlSource({ ...settingsOf(server), ...options.settings }, tables)
  return new Reading(source, server, options.from ?? (await source.head()))
}

export function settingsOf(server: SqlServer): MysqlSettings {
  return {
    name: 'test',
    host: server.host,
    port: server.port,
    user: 'cdc',
    password: 'cdcpass',
    heartbeatMs: 500,
  }
}

/** What reading fails with; `from` is a position or a GTID set, the beginning where it is not given. */
export async function failureOfReading(
  server: SqlServer,
  table: string,
  options: {
    readonly from?: string
    readonly settings?: Partial<MysqlSettings>
    /** Given what was read before. */
    readonly batches?: SourceBatch[]
  } = {},
): Promise<Failure> {
  const { from = '', settings, batches } = options
  const source = createMysqlSource({ ...settingsOf(server), ...settings }, [table])
  let position = from.startsWith('{') ? (from as Position) : source.parse(from)
  const late = AbortSignal.timeout(waitMsMax)
  try {
    // A stream may end before it fails, for whoever reads it to go on from where it came to.
    while (!late.aborted) {
      for await (const batch of source.read(position, late)) {
        batches?.push(batch)
        position = batch.position
      }
    }
  } catch (error) {
    assert(error instanceof Failure, String(error))
    return error
  } finally {
    await source.close()
  }
  throw new Error('reading did not fail')
}

/** The changes of a batch. */
export function changesOf({ records }: SourceBatch): readonly Change[] {
  return records.flatMap((each) => [...each])
}

let schemas = 0

export async function freshSchema(server: SqlServer, ...statements: readonly string[]): Promise<string> {
  const schema = `stream_${process.pid}_${++schemas}`
  await server.execute(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`)
  await write(server, schema, statements)
  return schema
}

/** In one session. */
export async function write(server: SqlServer, schema: string, statements: readonly string[]): Promise<void> {
  await server.execute(`USE ${schema}`, ...statements)
}

/** `update [2] 2,"old" 2,"new"` */
export function describeChange({ op, key, table, before, after }: Change): string {
  const show = (row: typeof before): string => {
    if (row === undefined) return '-'
    return unpackRow(row, table.columns.length)
      .map((cell) => (cell === null ? 'NULL' : textOf(cell ?? '')))
      .join(',')
  }
  return `${op} ${key} ${show(before)} ${show(after)}`
}
