/** Watches the statements of the binlog for those that may have changed rows of captured tables unseen, by a cascade. */
import type { Barrier, Cascade, Change, Column, Condition, Table } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import { RecordsBuilder } from '../../../change/records.ts'
import { unpackRow } from '../../../change/row.ts'
import type { BinlogEvent, RowsHeader } from '../binlog/binlog-events.ts'
import type { ForeignKeys } from './foreign-keys.ts'
import { noMasks } from '../rows/masks.ts'
import { rowsOf } from '../rows/row-decoder.ts'
import { SchemaNeeded } from '../rows/schema-match.ts'
import { parseTableMap, TableMapCache, type TableContext, type TableMap } from '../rows/table-map.ts'

export class CascadeWatch {
  #keys: ForeignKeys
  readonly #context: TableContext
  /** As rows go out. */
  readonly #outgoing: TableContext
  /** By child. */
  readonly #reached = new Map<string, Reached>()
  /** Maps of parents that are not captured, read in full because others follow their rows. */
  readonly #watched = new Map<number, TableMap>()

  constructor(keys: ForeignKeys, context: TableContext) {
    this.#keys = keys
    const isParent = (table: string) => this.#keys.isParent(table.toLowerCase())
    this.#outgoing = context
    this.#context = {
      ...context,
      captured: isParent,
      cache: new TableMapCache(),
      excluded: () => new Set(),
      masks: () => noMasks,
    }
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
      // Where only deletes matter, the rows' values are not worth asking the server for columns.
      const isFollowed = this.#keys.followedColumns(nameOf(map)).size > 0
      if (error instanceof SchemaNeeded && isFollowed) throw error
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
    const columns = this.#keys.followedColumns(table)
    if (header.kind !== 'delete' && columns.size === 0) return
    const changes = this.#changesOf(event, header, map)
    if (header.kind === 'delete') this.#reach(table, 'deleted', changes)
    else if (changes === undefined || changes.some((change) => touches(change, columns)))
      this.#reach(table, 'updated', changes)
  }

  /** Rows of this table that cannot be read. */
  unreadable(map: TableMap): void {
    this.#reach(nameOf(map), 'deleted', undefined)
    this.#reach(nameOf(map), 'updated', undefined)
  }

  /** The statement ended: the tables to read again. */
  end(): readonly Barrier[] {
    if (this.#watched.size > 0) this.#watched.clear()
    if (this.#reached.size === 0) return []
    const barriers = [...this.#reached].map(([child, { parents, cascade }]) => ({
      table: child,
      statement: `foreign-key cascade from ${[...parents].join(', ')}`,
      ...(cascade === undefined ? {} : { effect: cascade }),
    }))
    this.#reached.clear()
    return barriers
  }

  #reach(table: string, change: 'deleted' | 'updated', changes: readonly Change[] | undefined): void {
    for (const child of this.#keys.reachedFrom(table, change)) {
      const cascade = this.#cascadeOn(child, table, change, changes)
      const known = this.#reached.get(child)
      if (known === undefined) this.#reached.set(child, { parents: new Set([table]), cascade })
      else {
        known.parents.add(table)
        known.cascade = merged(known.cascade, cascade)
      }
    }
  }

  #cascadeOn(
    child: string,
    table: string,
    change: 'deleted' | 'updated',
    changes: readonly Change[] | undefined,
  ): Cascade | undefined {
    const inherited = this.#keys.inherited(table, change, child)
    if (inherited === undefined || changes === undefined) return undefined
    const conditions = [...inherited.columns].flatMap(
      ([column, from]) =>
        (this.#isHidden(child, column) ? undefined : conditionOn(column, changes, from)) ?? [],
    )
    const [first, ...also] = conditions
    if (first === undefined) return undefined
    return { kind: 'cascade', change: inherited.change, ...first, ...(also.length === 0 ? {} : { also }) }
  }

  /** Whether the column's values must not go out, not in a barrier either. */
  #isHidden(table: string, column: string): boolean {
    const hidden = [...this.#outgoing.excluded(table), ...(this.#outgoing.masks?.(table) ?? noMasks).keys()]
    return hidden.some((name) => name.toLowerCase() === column.toLowerCase())
  }

  /** Read apart from the records that go out, because few tables have others that follow their columns. */
  #changesOf(event: BinlogEvent, header: RowsHeader, map: TableMap): readonly Change[] | undefined {
    const readable = map.table === undefined ? this.#watched.get(header.tableId) : map
    if (readable?.table === undefined) return undefined
    const builder = new RecordsBuilder()
    const { kind, from } = header
    try {
      rowsOf(readable, { kind, body: event.buffer, from, to: event.to, committedAtMs: 0 }, builder)
    } catch (error) {
      // Whether that matters is for those to say who want the rows themselves.
      if (error instanceof Failure) return undefined
      throw error
    }
    return [...builder.finish()]
  }
}

interface Reached {
  /** The statement's tables that reach it. */
  readonly parents: Set<string>
  /** undefined = any of its rows may be another one. */
  cascade: Cascade | undefined
}

/** More are as much work as the whole table. */
const valuesMax = 1000

/** Both, where one cascade can say it. */
export function merged(one: Cascade | undefined, other: Cascade | undefined): Cascade | undefined {
  if (one === undefined || other === undefined) return undefined
  const first = either(one, other)
  if (first === undefined) return undefined
  // What only one of them says, or too many values, is left out: more rows are found then.
  const also = (one.also ?? []).flatMap(
    (condition) => other.also?.flatMap((another) => either(condition, another) ?? []) ?? [],
  )
  const change = one.change === other.change ? one.change : 'updated'
  return { kind: 'cascade', change, ...first, ...(also.length === 0 ? {} : { also }) }
}

function either({ column, type, values }: Condition, other: Condition): Condition | undefined {
  if (column !== other.column || type !== other.type) return undefined
  const all = [...new Set([...values, ...other.values])]
  if (all.length > valuesMax) return undefined
  return { column, values: all, ...(type === undefined ? {} : { type }) }
}

/** Values of these kinds, as of integers, are equal only where their texts are. */
const exactKinds: ReadonlySet<string> = new Set(['binary', 'uuid'])

/** The values that rows had in a column; undefined = not all are known, there are too many, or equal ones may differ as texts. */
function conditionOn(column: string, changes: readonly Change[], from: string): Condition | undefined {
  const values = new Set<string>()
  const columns = new Map<string, Column>()
  for (const { table, before } of changes) {
    // An update of the key comes as a delete and an insert.
    if (before === undefined) continue
    const at = indexOf(table, from)
    const of = table.columns[at]
    const cell = unpackRow(before, table.columns.length)[at]
    if (of === undefined || cell === undefined) return undefined
    columns.set(of.type, of)
    if (cell !== null) values.add(cell)
  }
  if (values.size > valuesMax || columns.size > 1) return undefined
  return conditionOf(column, [...values], [...columns.values()][0])
}

/** `of`: the column that the values are of; undefined = there are none. */
function conditionOf(
  column: string,
  values: readonly string[],
  of: Column | undefined,
): Condition | undefined {
  if (of === undefined || of.kind === 'integer') return { column, values }
  return exactKinds.has(of.kind) ? { column, values, type: of.type } : undefined
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
    // Of two texts that begin alike a mask may show the same.
    const isMasked = table.columns[at]?.mask !== undefined
    return at < 0 || isMasked || old[at] !== young[at] || old[at] === undefined
  })
}

function indexOf(table: Table, column: string): number {
  return table.columns.findIndex(({ name }) => name.toLowerCase() === column)
}
