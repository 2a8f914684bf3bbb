/** Watches the statements of the binlog for those that may have changed rows of captured tables unseen, by a cascade. */
import type { Barrier, Change, Table } from '../../change/change.ts'
import { RecordsBuilder } from '../../change/records.ts'
import { unpackRow } from '../../change/row.ts'
import type { BinlogEvent, RowsHeader } from './binlog-events.ts'
import type { ForeignKeys } from './foreign-keys.ts'
import { rowsOf } from './row-decoder.ts'
import { SchemaNeeded } from './schema-match.ts'
import { parseTableMap, TableMapCache, type TableContext, type TableMap } from './table-map.ts'

export class CascadeWatch {
  #keys: ForeignKeys
  readonly #context: TableContext
  /** Child → the statement's tables that reach it. */
  readonly #reached = new Map<string, Set<string>>()
  /** Maps of parents that are not captured, read in full because others follow their columns. */
  readonly #watched = new Map<number, TableMap>()

  constructor(keys: ForeignKeys, context: TableContext) {
    this.#keys = keys
    const follows = (table: string) => this.#keys.followedColumns(table.toLowerCase()).size > 0
    this.#context = { ...context, captured: follows, cache: new TableMapCache(), excluded: () => new Set() }
  }

  replace(keys: ForeignKeys): void {
    this.#keys = keys
    this.#context.cache.byId.clear()
    this.#context.cache.byContent.clear()
  }

  mapped(event: BinlogEvent, map: TableMap): void {
    if (map.table !== undefined || !this.#keys.isParent(nameOf(map))) return
    try {
      this.#watched.set(map.tableId, parseTableMap(event.buffer, event.from, event.to, this.#context))
    } catch (error) {
      if (error instanceof SchemaNeeded) throw error
      // Its rows cannot be read, so that each update counts as one of the followed columns.
      this.#watched.delete(map.tableId)
    }
  }

  /** Whether these rows can cascade, so that `rows` wants to see them. */
  concern(map: TableMap, header: RowsHeader): boolean {
    return header.kind !== 'insert' && header.checksForeignKeys && this.#keys.isParent(nameOf(map))
  }

  rows(event: BinlogEvent, header: RowsHeader, map: TableMap): void {
    const table = nameOf(map)
    if (header.kind === 'delete') return this.#reach(table, 'deleted')
    const columns = this.#keys.followedColumns(table)
    if (columns.size === 0) return undefined
    const updates = this.#updatesOf(event, header, map)
    if (updates === undefined || updates.some((change) => touches(change, columns)))
      this.#reach(table, 'updated')
  }

  /** Rows of this table that cannot be read. */
  unreadable(map: TableMap): void {
    this.#reach(nameOf(map), 'deleted')
    this.#reach(nameOf(map), 'updated')
  }

  /** The statement ended: the tables to read again. */
  end(): readonly Barrier[] {
    if (this.#watched.size > 0) this.#watched.clear()
    if (this.#reached.size === 0) return []
    const barriers = [...this.#reached].map(([child, parents]) => ({
      table: child,
      statement: `foreign-key cascade from ${[...parents].join(', ')}`,
    }))
    this.#reached.clear()
    return barriers
  }

  #reach(table: string, change: 'deleted' | 'updated'): void {
    for (const child of this.#keys.reachedFrom(table, change)) {
      const parents = this.#reached.get(child)
      if (parents === undefined) this.#reached.set(child, new Set([table]))
      else parents.add(table)
    }
  }

  /** Read apart from the records that go out, because few tables have others that follow their columns. */
  #updatesOf(event: BinlogEvent, header: RowsHeader, map: TableMap): readonly Change[] | undefined {
    const readable = map.table === undefined ? this.#watched.get(header.tableId) : map
    if (readable?.table === undefined) return undefined
    const builder = new RecordsBuilder()
    const { kind, from } = header
    rowsOf(readable, { kind, body: event.buffer, from, to: event.to, committedAtMs: 0 }, builder)
    return [...builder.finish()]
  }
}

function nameOf(map: TableMap): string {
  return `${map.schema}.${map.name}`.toLowerCase()
}

/** Whether an update changed one of these columns, as far as can be seen. */
function touches(change: Change, columns: ReadonlySet<string>): boolean {
  // An update of the key comes as a delete and an insert.
  if (change.op !== 'update') return true
  const { table, before, after } = change
  const old = unpackRow(before, table.columns.length)
  const young = unpackRow(after, table.columns.length)
  return [...columns].some((column) => {
    const at = indexOf(table, column)
    return at < 0 || old[at] !== young[at] || old[at] === undefined
  })
}

function indexOf(table: Table, column: string): number {
  return table.columns.findIndex(({ name }) => name.toLowerCase() === column)
}
