/**
 * What a statement in the binlog means for captured tables. The rows of ordinary statements come as row events; what
 * stands here as text either delimits transactions, or changed tables without showing rows. Only verb and table names
 * are read: a full grammar would have to know every statement of every version.
 */
import type { BarrierEffect } from '../../../change/change.ts'
import { isName, wordsOf, type Word } from './sql-words.ts'

export type Meaning =
  /** It delimits a transaction, or a part of one. */
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'rollbackToSavepoint' }
  | { readonly kind: 'xaStart' }
  /** `branch` as `gtrid:bqual:format`, hexadecimal. */
  | { readonly kind: 'xaCommit' | 'xaRollback'; readonly branch: string }
  /** Rows of these tables (`schema.table` in small letters) may have changed unseen. `*` as table = all of the schema. */
  | {
      readonly kind: 'definition'
      readonly tables: readonly string[]
      /** No row was changed. */
      readonly harmless: boolean
      /** A table has another name than before, or may refer to others no longer. */
      readonly unties: boolean
      /** Of the tables those that have no rows after it, spelled as the statement does. */
      readonly empties: readonly string[]
      /** A temporary table of such a name would be emptied by the same words. */
      readonly meansTemporary: boolean
      /** All that changes is that the table has these columns more, in small letters. */
      readonly adds?: readonly string[]
    }
  /** It wrote rows as a statement; `names` are all the names in it, in small letters. */
  | { readonly kind: 'write'; readonly names: ReadonlySet<string> }
  /** It changes no rows of tables. */
  | { readonly kind: 'nothing' }

export type Definition = Extract<Meaning, { kind: 'definition' }>

/** `schema` is the statement's default schema. */
export function meaningOf(statement: string, schema: string): Meaning {
  // The two that stand in nearly every transaction.
  if (statement === 'BEGIN') return { kind: 'begin' }
  if (statement === 'COMMIT') return { kind: 'commit' }
  const words = withoutSettings(wordsOf(statement))
  const verb = words[0]?.keyword ?? ''
  const meaning = control(verb, words) ?? definition(verb, new Cursor(words, schema))
  if (meaning !== undefined) return meaning
  if (quietVerbs.has(verb)) return { kind: 'nothing' }
  if (writingVerbs.has(verb)) return { kind: 'write', names: namesIn(words) }
  // An unknown verb: whatever it names may have changed.
  return changed(allNames(words, schema))
}

/** What the event says of its statement. */
export interface Certainty {
  /** It ended with an error, so that nobody knows how much of it was done. */
  readonly hasFailed: boolean
  /** Tables that it names may be temporary ones. */
  readonly mayBeTemporary: boolean
}

/**
 * What a statement did to a table of this name, as far as that is known. Only where the very name is spelled: on a server
 * that tells names by their case, another table may be meant. Servers write `DROP TEMPORARY TABLE` where that is meant.
 */
export function effectOn(
  table: string,
  { empties, meansTemporary, adds }: Definition,
  { hasFailed, mayBeTemporary }: Certainty,
): BarrierEffect | undefined {
  if (hasFailed || (mayBeTemporary && meansTemporary)) return undefined
  if (adds !== undefined) return { kind: 'widened', columns: adds }
  const all = `${table.slice(0, table.indexOf('.'))}.*`
  return empties.includes(table) || empties.includes(all) ? { kind: 'emptied' } : undefined
}

/** For people: without line breaks, shortened. */
export function shorten(statement: string): string {
  const line = statement.replaceAll(/\s+/g, ' ').trim()
  return line.length > 160 ? `${line.slice(0, 157)}...` : line
}

/** MariaDB: `SET STATEMENT variable = value FOR statement`. */
function withoutSettings(words: readonly Word[]): readonly Word[] {
  if (words[0]?.keyword !== 'SET' || words[1]?.keyword !== 'STATEMENT') return words
  return words.slice(words.findIndex(({ keyword }) => keyword === 'FOR') + 1)
}

const nothing: Meaning = { kind: 'nothing' }

const writingVerbs = new Set(
  'INSERT UPDATE DELETE REPLACE LOAD WITH CALL DO MERGE HANDLER SELECT VALUES TABLE'.split(' '),
)

const quietVerbs = new Set(
  'SAVEPOINT RELEASE GRANT REVOKE SET FLUSH ANALYZE OPTIMIZE CHECK CHECKSUM LOCK UNLOCK INSTALL UNINSTALL KILL USE RESET CHANGE START STOP SHUTDOWN SHOW PURGE CACHE'.split(
    ' ',
  ),
)

function control(verb: string, words: readonly Word[]): Meaning | undefined {
  switch (verb) {
    case 'BEGIN':
      return { kind: 'begin' }
    case 'START':
      return words[1]?.keyword === 'TRANSACTION' ? { kind: 'begin' } : undefined
    case 'COMMIT':
      return { kind: 'commit' }
    case 'ROLLBACK':
      return { kind: words.some(({ keyword }) => keyword === 'TO') ? 'rollbackToSavepoint' : 'rollback' }
    case 'XA':
      return branchControl(words)
    default:
      return undefined
  }
}

function branchControl(words: readonly Word[]): Meaning {
  switch (words[1]?.keyword) {
    case 'START':
    case 'BEGIN':
      return { kind: 'xaStart' }
    case 'COMMIT':
      return { kind: 'xaCommit', branch: branchIn(words.slice(2)) }
    case 'ROLLBACK':
      return { kind: 'xaRollback', branch: branchIn(words.slice(2)) }
    default:
      return nothing
  }
}

/** `X'6162',X'',1` */
function branchIn(words: readonly Word[]): string {
  const [global = '', branch = ''] = words
    .filter(({ kind }) => kind === 'text')
    .map(({ value }) => value.toLowerCase())
  return `${global}:${branch}:${words.at(-1)?.value ?? '1'}`
}

function definition(verb: string, cursor: Cursor): Meaning | undefined {
  cursor.skip(verb)
  switch (verb) {
    case 'TRUNCATE':
      cursor.skip('TABLE')
      return { ...emptying(cursor.spelledNames()), meansTemporary: true }
    case 'DROP':
      return dropped(cursor)
    case 'CREATE':
      return created(cursor)
    case 'RENAME':
      return renamed(cursor)
    case 'ALTER':
      return altered(cursor)
    case 'DELETE':
      return emptied(cursor)
    default:
      return undefined
  }
}

function changed(tables: readonly string[]): Definition {
  return { kind: 'definition', tables, harmless: false, unties: false, empties: [], meansTemporary: false }
}

function emptying(spelled: readonly string[]): Definition {
  return { ...changed(spelled.map((name) => name.toLowerCase())), empties: spelled }
}

function dropped(cursor: Cursor): Meaning {
  if (cursor.skip('DATABASE', 'SCHEMA')) {
    cursor.skipIfExists()
    return emptying([`${cursor.spelledName()}.*`])
  }
  // A temporary table may bear the name of a captured one.
  if (cursor.skip('TEMPORARY') || !cursor.skip('TABLE', 'TABLES')) return nothing
  cursor.skipIfExists()
  return { ...emptying(cursor.spelledNames()), unties: true }
}

/** A table begins empty, and what CREATE ... SELECT puts into it comes as row events; only MariaDB's REPLACE drops one. */
function created(cursor: Cursor): Meaning {
  const replaces = cursor.skip('OR')
  cursor.skip('REPLACE')
  if (cursor.skip('TEMPORARY') || !cursor.skip('TABLE')) return nothing
  cursor.skipIfExists()
  return { ...changed([cursor.name()]), harmless: !replaces, unties: replaces }
}

function renamed(cursor: Cursor): Meaning {
  if (!cursor.skip('TABLE', 'TABLES')) return nothing
  cursor.skipIfExists()
  const tables: string[] = []
  do {
    tables.push(cursor.name())
    cursor.skipUntil('TO')
    tables.push(cursor.name())
  } while (cursor.skip(','))
  return { ...changed(tables), unties: true }
}

/** `DELETE FROM t` without a condition: the server writes it for a MEMORY table that a restart emptied. */
function emptied(cursor: Cursor): Meaning | undefined {
  if (!cursor.skip('FROM')) return undefined
  const table = cursor.name()
  return cursor.done ? changed([table]) : undefined
}

function altered(cursor: Cursor): Meaning {
  const ignores = cursor.skipAll('ONLINE', 'IGNORE').includes('IGNORE')
  if (!cursor.skip('TABLE')) return nothing
  cursor.skipIfExists()
  const table = cursor.name()
  if (cursor.skip('WAIT')) cursor.skipAny()
  cursor.skip('NOWAIT')
  const clauses = cursor.clauses()
  // ALTER IGNORE deletes rows that a new unique key forbids.
  if (!ignores && clauses.every(isHarmless)) return { ...changed([table]), harmless: true }
  const adds = ignores ? [] : columnsAddedBy(clauses)
  if (adds.length > 0) return { ...changed([table]), adds }
  const others = clauses.flatMap((clause) => tablesNamedBy(clause, cursor.schema))
  return { ...changed([table, ...others]), unties: others.length > 0 || clauses.some(dropsReference) }
}

function dropsReference(clause: readonly Word[]): boolean {
  const [verb, what] = clause
  return verb?.keyword === 'DROP' && (what?.keyword === 'FOREIGN' || what?.keyword === 'CONSTRAINT')
}

/** Clauses that leave every row as it is. Anything not listed counts as harmful. */
const harmlessClauses = [
  /^ADD (UNIQUE|FULLTEXT|SPATIAL|INDEX|KEY)\b/,
  /^ADD (CONSTRAINT (\S+ )?)?(UNIQUE|FOREIGN|CHECK)\b/,
  /^DROP (INDEX|KEY|CHECK)\b/,
  /^RENAME (INDEX|KEY)\b/,
  /^ALTER (INDEX|CHECK)\b/,
  /^ALTER (COLUMN )?(\w+|\?) (SET|DROP) DEFAULT\b/,
  // Options may follow each other without a comma; only one that stands alone is known.
  /^(COMMENT|AUTO_INCREMENT|ALGORITHM|LOCK|ROW_FORMAT|KEY_BLOCK_SIZE|STATS_\w+) (= )?(\w+|\?)$/,
  /^(ENABLE|DISABLE) KEYS$/,
  /^ENGINE (= )?INNODB$/,
  /^FORCE$/,
]

function isHarmless(clause: readonly Word[]): boolean {
  const start = clause
    .map(({ keyword, kind }) => (kind === 'word' || kind === 'sign' ? keyword : '?'))
    .join(' ')
  return harmlessClauses.some((form) => form.test(start))
}

/** The columns that the clauses add; none where one of them does anything else, or makes a key of a new column. */
function columnsAddedBy(clauses: readonly (readonly Word[])[]): readonly string[] {
  const others = clauses.filter((clause) => !isHarmless(clause))
  const added = others.map(columnAddedBy)
  return added.every((name) => name !== undefined) ? added : []
}

const notAColumn = new Set(
  'CONSTRAINT PRIMARY UNIQUE FULLTEXT SPATIAL INDEX KEY FOREIGN CHECK PARTITION PERIOD SYSTEM VECTOR ('.split(
    ' ',
  ),
)
/** Within the definition of a column. */
const makesAKey = new Set(['PRIMARY', 'UNIQUE', 'KEY', 'AUTO_INCREMENT', 'SERIAL', 'REFERENCES'])

/** `ADD [COLUMN] [IF NOT EXISTS] name type ...`. */
function columnAddedBy(clause: readonly Word[]): string | undefined {
  const cursor = new Cursor(clause, '')
  if (!cursor.skip('ADD')) return undefined
  const isColumn = cursor.skip('COLUMN')
  cursor.skipIfExists()
  const [name, ...rest] = cursor.rest
  if (name === undefined || rest.length === 0 || name.keyword === '(') return undefined
  if (!isColumn && name.kind === 'word' && notAColumn.has(name.keyword)) return undefined
  const isKey = rest.some(({ kind, keyword }) => kind === 'word' && makesAKey.has(keyword))
  return isKey || !isName(name) ? undefined : name.value.toLowerCase()
}

/** RENAME TO x, EXCHANGE PARTITION p WITH TABLE x, CONVERT PARTITION p TO TABLE x, CONVERT TABLE x TO PARTITION. */
function tablesNamedBy(clause: readonly Word[], schema: string): readonly string[] {
  const cursor = new Cursor(clause, schema)
  const verb = clause[0]?.keyword ?? ''
  cursor.skip(verb)
  if (verb === 'RENAME' && !cursor.skip('COLUMN', 'INDEX', 'KEY')) {
    cursor.skip('TO', 'AS', '=')
    return [cursor.name()]
  }
  if (verb !== 'EXCHANGE' && verb !== 'CONVERT') return []
  if (!clause.some(({ keyword }) => keyword === 'TABLE')) return []
  cursor.skipUntil('TABLE')
  return [cursor.name()]
}

function namesIn(words: readonly Word[]): ReadonlySet<string> {
  return new Set(words.filter(isName).map(({ value }) => value.toLowerCase()))
}

/** Every name taken for a table of the default schema, and every pair of names joined by a dot. */
function allNames(words: readonly Word[], schema: string): readonly string[] {
  return words.flatMap((word, at) => {
    if (!isName(word)) return []
    const qualified = words[at + 1]?.value === '.' ? `${word.value}.${words[at + 2]?.value ?? ''}` : undefined
    return [`${schema}.${word.value}`, ...(qualified === undefined ? [] : [qualified])].map((name) =>
      name.toLowerCase(),
    )
  })
}

/** Walks over the words of one statement. */
class Cursor {
  readonly schema: string
  readonly #words: readonly Word[]
  #at = 0

  constructor(words: readonly Word[], schema: string) {
    this.#words = words.at(-1)?.value === ';' ? words.slice(0, -1) : words
    this.schema = schema
  }

  get rest(): readonly Word[] {
    return this.#words.slice(this.#at)
  }

  get done(): boolean {
    return this.#at >= this.#words.length
  }

  /** Whether the next word is one of these keywords or signs, which is then passed. */
  skip(...keywords: readonly string[]): boolean {
    const next = this.#words[this.#at]
    if (next === undefined || !keywords.includes(next.keyword)) return false
    this.#at++
    return true
  }

  skipAll(...keywords: readonly string[]): readonly string[] {
    const start = this.#at
    while (this.skip(...keywords));
    return this.#words.slice(start, this.#at).map(({ keyword }) => keyword)
  }

  skipAny(): void {
    this.#at++
  }

  skipUntil(keyword: string): void {
    while (!this.done && !this.skip(keyword)) this.#at++
  }

  skipIfExists(): void {
    if (!this.skip('IF')) return
    this.skip('NOT')
    this.skip('EXISTS')
  }

  spelledName(): string {
    return this.#words[this.#at++]?.value ?? ''
  }

  /** `schema.table` in small letters; servers differ in whether case matters, and one barrier too many does no harm. */
  name(): string {
    return this.#qualified().toLowerCase()
  }

  /** Each `schema.table` as it is spelled. */
  spelledNames(): readonly string[] {
    const names = [this.#qualified()]
    while (this.skip(',')) names.push(this.#qualified())
    return names
  }

  #qualified(): string {
    const first = this.spelledName()
    return this.skip('.') ? `${first}.${this.spelledName()}` : `${this.schema}.${first}`
  }

  /** The rest, cut at the commas that stand in no parentheses. */
  clauses(): readonly (readonly Word[])[] {
    const clauses: Word[][] = [[]]
    let depth = 0
    for (const word of this.#words.slice(this.#at)) {
      if (word.keyword === '(') depth++
      if (word.keyword === ')') depth--
      if (word.keyword === ',' && depth === 0) clauses.push([])
      else clauses.at(-1)?.push(word)
    }
    return clauses.filter((clause) => clause.length > 0)
  }
}
