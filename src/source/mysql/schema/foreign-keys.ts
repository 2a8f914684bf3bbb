/**
 * Foreign keys by which a change of one table changes rows of another that the binlog does not show: in MySQL before 9.6
 * and in MariaDB, a cascade happens below the binlog. The keys are read from the tables as they are now. One that has
 * been dropped since an event was written does no harm: dropping it is itself a statement in the binlog after which the
 * table is read again.
 */
import { query, type Connection } from '../server/connection.ts'
import { errnoOf } from '../server/server-errors.ts'
import { actionOf, inheritedBy, type Inherited } from './inherited.ts'
import { quotedTable } from './names.ts'
import { wordsOf, type Word } from './sql-words.ts'

/** `schema.table` throughout, in small letters. */
export interface ForeignKey {
  readonly child: string
  readonly parent: string
  /** The parent's columns, in small letters. */
  readonly columns: readonly string[]
  readonly onDelete: Action
  readonly onUpdate: Action
  /** The child's columns that refer to those of the parent, in the same order. */
  readonly referring: readonly ReferringColumn[]
}

interface ReferringColumn {
  readonly column: string
  /** It is part of a primary or unique key. */
  readonly isKeyed: boolean
}

/** What becomes of the child's rows. */
export type Action = 'nothing' | 'deleted' | 'updated'

export class ForeignKeys {
  readonly #byParent = new Map<string, ForeignKey[]>()
  /** `schema.table` in small letters → as the configuration names it. */
  readonly #captured: ReadonlyMap<string, string>
  readonly #inherited = new Map<string, Inherited | undefined>()

  constructor(keys: readonly ForeignKey[], captured: readonly string[]) {
    this.#captured = new Map(captured.map((table) => [table.toLowerCase(), table]))
    for (const key of keys) {
      if (key.onDelete === 'nothing' && key.onUpdate === 'nothing') continue
      const others = this.#byParent.get(key.parent)
      if (others === undefined) this.#byParent.set(key.parent, [key])
      else others.push(key)
    }
  }

  /** Whether changes of this table's rows can change rows of others. */
  isParent(table: string): boolean {
    return this.#byParent.has(table)
  }

  /** The columns of this table that others follow when it is updated. */
  followedColumns(table: string): ReadonlySet<string> {
    const keys = this.#byParent.get(table) ?? []
    return new Set(keys.flatMap(({ onUpdate, columns }) => (onUpdate === 'nothing' ? [] : columns)))
  }

  /** What the changed rows of a child, one of those that `reachedFrom` names, have of the parent's; undefined = it is not certain. */
  inherited(table: string, change: 'deleted' | 'updated', child: string): Inherited | undefined {
    const name = `${table} ${change} ${child}`
    if (!this.#inherited.has(name)) {
      const way = {
        keysOf: (parent: string) => this.#byParent.get(parent) ?? [],
        leadsOn: (parent: string, action: 'deleted' | 'updated') =>
          this.reachedFrom(parent, action).has(child),
        child: child.toLowerCase(),
      }
      this.#inherited.set(name, inheritedBy(way, table, change))
    }
    return this.#inherited.get(name)
  }

  /** The captured tables that any change of this one can reach, as the configuration names them. */
  childrenOf(table: string): readonly string[] {
    const reached = new Set([...this.reachedFrom(table, 'deleted'), ...this.reachedFrom(table, 'updated')])
    return [...reached]
  }

  /**
   * The captured tables, as the configuration names them, whose rows may have changed when rows of this one were deleted,
   * or their followed columns updated.
   */
  reachedFrom(
    table: string,
    change: 'deleted' | 'updated',
    reached = new Set<string>(),
  ): ReadonlySet<string> {
    for (const key of this.#byParent.get(table) ?? []) {
      const action = actionOf(key, change)
      const step = `${key.child} ${action}`
      if (action === 'nothing' || reached.has(step)) continue
      reached.add(step)
      this.reachedFrom(key.child, action, reached)
    }
    const tables = [...reached].map((step) => step.slice(0, step.lastIndexOf(' ')))
    return new Set(tables.flatMap((name) => this.#captured.get(name) ?? []))
  }
}

/**
 * The keys of the captured tables, of their parents, and so on upwards. SHOW CREATE TABLE asks for no more than the right
 * to read the table, where MariaDB's information_schema hides keys from those who may only read. A parent that may not be
 * read is where the search ends.
 */
export async function readForeignKeys(
  connection: Connection,
  captured: readonly string[],
): Promise<ForeignKeys> {
  const keys: ForeignKey[] = []
  const asked = new Set<string>()
  const waiting = [...captured]
  for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
    const name = table.toLowerCase()
    if (asked.has(name)) continue
    asked.add(name)
    const found = foreignKeysIn(await createStatement(connection, table, captured.includes(table)), name)
    keys.push(...found.map(({ key }) => key))
    waiting.push(...found.map(({ parent }) => parent))
  }
  return new ForeignKeys(keys, captured)
}

const noSuchTable = new Set([1049, 1146])
const forbidden = new Set([1044, 1142, 1143, 1370])

/** Empty for a table that is not there, or is not ours to read. */
async function createStatement(connection: Connection, table: string, mustRead: boolean): Promise<string> {
  try {
    const [row] = await query(
      connection,
      `SHOW CREATE TABLE ${quotedTable(table)}`,
      [],
      `reading the keys of ${table}`,
    )
    return String(row?.['Create Table'] ?? '')
  } catch (error) {
    const errno = errnoOf(error)
    if (noSuchTable.has(errno) || (forbidden.has(errno) && !mustRead)) return ''
    throw error
  }
}

interface Found {
  readonly key: ForeignKey
  /** As it is written, for asking the server. */
  readonly parent: string
}

/** Each `REFERENCES [schema.]parent (columns) [ON DELETE action] [ON UPDATE action]` of a CREATE TABLE. */
export function foreignKeysIn(statement: string, child: string): readonly Found[] {
  const words = wordsOf(statement)
  const schema = child.slice(0, child.indexOf('.'))
  return words.flatMap(({ keyword }, at) =>
    keyword === 'REFERENCES'
      ? [reference(words.slice(at + 1), { schema, child, referring: referringColumns(words, at) })]
      : [],
  )
}

/** `FOREIGN KEY (column, ...)` before the word at `at`. */
function referringColumns(words: readonly Word[], at: number): readonly ReferringColumn[] {
  const open = words.findLastIndex(({ keyword }, index) => index < at && keyword === '(')
  return words
    .slice(open + 1, at - 1)
    .filter(({ keyword }) => keyword !== ',')
    .map(({ value }) => ({ column: value, isKeyed: isKeyed(words, value.toLowerCase()) }))
}

function isKeyed(words: readonly Word[], column: string): boolean {
  return words.some(({ keyword, kind }, at) => {
    if (kind !== 'word' || (keyword !== 'PRIMARY' && keyword !== 'UNIQUE')) return false
    const from = words.findIndex((word, index) => index > at && word.keyword === '(')
    let [to, depth] = [from, 0]
    do {
      if (words[to]?.keyword === '(') depth++
      if (words[to]?.keyword === ')') depth--
      to++
    } while (depth > 0 && to < words.length)
    return words.slice(from, to).some(({ value }) => value.toLowerCase() === column)
  })
}

interface Referring {
  readonly schema: string
  readonly child: string
  readonly referring: ForeignKey['referring']
}

function reference(words: readonly Word[], { schema, child, referring }: Referring): Found {
  const open = words.findIndex(({ keyword }) => keyword === '(')
  const close = words.findIndex(({ keyword }) => keyword === ')')
  const names = words.slice(0, open).filter(({ keyword }) => keyword !== '.')
  const parent =
    names.length === 1 ? `${schema}.${names[0]?.value}` : names.map(({ value }) => value).join('.')
  const columns = words.slice(open + 1, close).filter(({ keyword }) => keyword !== ',')
  const rest = words.slice(close + 1, close + 9).map(({ keyword }) => keyword)
  return {
    parent,
    key: {
      child,
      parent: parent.toLowerCase(),
      columns: columns.map(({ value }) => value.toLowerCase()),
      onDelete: actionAfter(rest, 'DELETE'),
      onUpdate: actionAfter(rest, 'UPDATE'),
      referring,
    },
  }
}

function actionAfter(words: readonly string[], event: 'DELETE' | 'UPDATE'): Action {
  const at = words.findIndex((word, index) => word === 'ON' && words[index + 1] === event)
  // The clause belongs to this key only if nothing but the other clause stands before it.
  if (at < 0 || words.slice(0, at).includes(',')) return 'nothing'
  const action = words[at + 2]
  if (action === 'SET') return 'updated'
  if (action !== 'CASCADE') return 'nothing'
  return event === 'DELETE' ? 'deleted' : 'updated'
}
