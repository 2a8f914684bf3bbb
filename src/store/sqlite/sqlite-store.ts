/** Small state in one SQLite file: the default store. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { Failure, type FailureKind } from '../../change/failure.ts'
import type { Store, Stored } from '../store.ts'

export interface SqliteStoreOptions {
  /** `<state>/state.db`; made when it is missing, as is its directory. */
  readonly path: string
}

/** Each brings the file from the version before it to its own; the first is version 1. Never changed once released. */
const migrations = [
  `CREATE TABLE value (name TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE record (
     stream TEXT NOT NULL, number INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY (stream, number)
   ) WITHOUT ROWID;`,
]

/** How long a writer waits for another process that writes the same file. */
const busyMs = 5000

export function openSqliteStore(options: SqliteStoreOptions): Store {
  return attempt(`opening ${options.path}`, () => {
    mkdirSync(dirname(options.path), { recursive: true })
    const database = new DatabaseSync(options.path, { timeout: busyMs })
    try {
      // FULL: a commit is synced before it is acknowledged.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      migrate(database, options.path)
      return new SqliteStore(database, options.path)
    } catch (error) {
      database.close()
      throw error
    }
  })
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync
  readonly #path: string
  readonly #get: StatementSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #list: StatementSync
  readonly #append: StatementSync
  readonly #newest: StatementSync

  constructor(database: DatabaseSync, path: string) {
    this.#database = database
    this.#path = path
    this.#get = database.prepare('SELECT name, value, revision FROM value WHERE name = ?')
    this.#insert = database.prepare(
      'INSERT INTO value (name, value, revision) VALUES (?, ?, 1) ON CONFLICT DO NOTHING RETURNING revision',
    )
    this.#update = database.prepare(
      'UPDATE value SET value = ?, revision = revision + 1 WHERE name = ? AND revision = ? RETURNING revision',
    )
    this.#list = database.prepare(
      'SELECT name, value, revision FROM value WHERE name >= ?1 AND name > ?2 AND substr(name, 1, length(?1)) = ?1 ' +
        'ORDER BY name LIMIT ?3',
    )
    this.#append = database.prepare(
      'INSERT INTO record (stream, number, record) ' +
        'SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM record WHERE stream = ?1 RETURNING number',
    )
    this.#newest = database.prepare(
      'SELECT number, record FROM record WHERE stream = ? ORDER BY number DESC LIMIT ?',
    )
  }

  get(name: string): Promise<Stored | undefined> {
    return this.#answer(`reading ${name}`, () => stored(this.#get.get(name)))
  }

  put(name: string, value: string, expectedRevision: number): Promise<Stored | undefined> {
    return this.#answer(`writing ${name}`, () => {
      const written =
        expectedRevision === 0
          ? this.#insert.get(name, value)
          : this.#update.get(value, name, expectedRevision)
      return written === undefined ? undefined : { name, value, revision: Number(written['revision']) }
    })
  }

  list(prefix: string, after: string | undefined, limit: number): Promise<readonly Stored[]> {
    return this.#answer(`listing ${prefix}`, () =>
      this.#list.all(prefix, after ?? '', limit).flatMap((row) => stored(row) ?? []),
    )
  }

  append(stream: string, record: string): Promise<number> {
    return this.#answer(`appending to ${stream}`, () => Number(this.#append.get(stream, record)?.['number']))
  }

  newest(stream: string, limit: number): ReturnType<Store['newest']> {
    return this.#answer(`reading ${stream}`, () =>
      this.#newest.all(stream, limit).map((row) => ({
        number: Number(row['number']),
        record: String(row['record']),
      })),
    )
  }

  close(): Promise<void> {
    return this.#answer('closing', () => {
      this.#database.close()
    })
  }

  async #answer<T>(what: string, work: () => T): Promise<T> {
    await Promise.resolve()
    return attempt(`${what} in ${this.#path}`, work)
  }
}

function migrate(database: DatabaseSync, path: string): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > migrations.length)
      throw new Failure(
        'unsupported',
        `${path} has version ${version}; this program knows ${migrations.length}`,
        {
          remedy: 'run the version of millrace that wrote it, or a newer one',
        },
      )
    for (const migration of migrations.slice(version)) database.exec(migration)
    database.exec(`PRAGMA user_version = ${migrations.length}`)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

function stored(row: Record<string, unknown> | undefined): Stored | undefined {
  if (row === undefined) return undefined
  return { name: String(row['name']), value: String(row['value']), revision: Number(row['revision']) }
}

/** SQLite's errors in our words. */
function attempt<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 255 : undefined
    const known = code === undefined ? undefined : failures.get(code)
    if (known === undefined) throw error
    throw new Failure(known.kind, `${what} failed`, { remedy: known.remedy, cause: error })
  }
}

/** By SQLite's primary result code. */
const failures = new Map<number, { readonly kind: FailureKind; readonly remedy: string }>([
  [5, { kind: 'overload', remedy: 'see which other process keeps the file busy' }],
  [
    8,
    { kind: 'configuration', remedy: 'let the user that millrace runs as write the file and its directory' },
  ],
  [10, { kind: 'transient', remedy: 'see what the kernel says about the disk' }],
  [11, { kind: 'corrupt', remedy: 'restore the file from a backup' }],
  [13, { kind: 'full', remedy: 'free space on that disk; millrace goes on by itself' }],
  [
    14,
    { kind: 'configuration', remedy: 'let the user that millrace runs as write the file and its directory' },
  ],
  [26, { kind: 'corrupt', remedy: 'it is no SQLite file: restore it from a backup' }],
])
