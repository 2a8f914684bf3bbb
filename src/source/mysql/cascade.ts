/**
 * Cascades of foreign keys. Before MySQL 9.6, and in MariaDB, rows that a cascade changes are not in the binlog. What is
 * there: each statement that updates or deletes rows of a parent first maps every child that a cascade can reach, over
 * all levels, though no rows of it follow. Such a child is to be read again, because its rows may have changed unseen.
 *
 * Triggers map tables without rows too; so only children that the server says have a cascading key are considered, and
 * the others that got one while this reader ran. A key that was dropped meanwhile does no harm: dropping it is itself a
 * statement after which the table is read again.
 */
import type { Barrier } from '../../change/change.ts'
import type { TableMap } from './table-map.ts'

/** Which captured tables a cascade can reach (`schema.table` in small letters). */
export interface Cascades {
  readonly children: ReadonlySet<string>
}

export class CascadeWatch {
  readonly #children: Set<string>
  /** The statement's maps, and how many times each table was mapped. */
  readonly #mapped = new Map<number, { readonly map: TableMap; times: number }>()
  readonly #withRows = new Set<number>()
  #canCascade = false

  constructor(cascades: Cascades) {
    this.#children = new Set(cascades.children)
  }

  /** The table was altered or made: it may have a cascading key from now on. */
  altered(table: string): void {
    this.#children.add(table)
  }

  mapped(map: TableMap): void {
    const entry = this.#mapped.get(map.tableId)
    if (entry === undefined) this.#mapped.set(map.tableId, { map, times: 1 })
    else entry.times++
  }

  /** Row events were seen; inserted rows cascade nowhere. */
  rows(tableId: number, kind: 'insert' | 'update' | 'delete'): void {
    this.#withRows.add(tableId)
    if (kind !== 'insert') this.#canCascade = true
  }

  /** The statement ended: the tables whose rows it may have changed unseen. */
  end(): readonly Barrier[] {
    const suspects = this.#canCascade ? [...this.#mapped.values()].filter((entry) => this.#suspect(entry)) : []
    const barriers = suspects.map(({ map }) => ({ table: `${map.schema}.${map.name}`, statement: this.#explain() }))
    this.#mapped.clear()
    this.#withRows.clear()
    this.#canCascade = false
    return barriers
  }

  /** A table that refers to itself is mapped twice. */
  #suspect({ map, times }: { readonly map: TableMap; readonly times: number }): boolean {
    if (map.table === undefined || !this.#children.has(map.table.name.toLowerCase())) return false
    return !this.#withRows.has(map.tableId) || times > 1
  }

  #explain(): string {
    const parents = [...this.#withRows].flatMap((id) => this.#mapped.get(id)?.map ?? [])
    const names = parents.map(({ schema, name }) => `${schema}.${name}`)
    return `foreign-key cascade from ${names.join(', ')}`
  }
}
