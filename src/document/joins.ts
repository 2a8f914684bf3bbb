/**
 * The joins of a document: each table of its tree, in an order in which parents come before their children. A link table
 * is a join of its own, whose rows are shown only through those of the table behind it.
 *
 *   orders ─┬─ customer           0  customers    parent: the root
 *           └─ tags (through)     1  order_tags   parent: the root, a link
 *                                 2  tags         parent: 1
 */
import type { ColumnKind } from '../change/change.ts'
import type { ChildDefinition, DocumentDefinition, QueryDefinition, RowDefinition } from './definition.ts'

export interface Join {
  /** Its place among the joins. */
  readonly number: number
  /** `schema.table`. */
  readonly table: string
  /** The join that its rows belong to; undefined = the root table. */
  readonly parent: number | undefined
  /** `schema.table` of the rows that its rows belong to. */
  readonly parentTable: string
  /** The columns that are equal. */
  readonly pairs: readonly { readonly child: string; readonly parent: string }[]
  /** Undefined = a link. */
  readonly child: ChildDefinition | undefined
  /** The fields that lead to it: `lines.product`. */
  readonly path: string
  /** A query that finds the roots of its rows, where no columns are equal. */
  readonly roots?: string | undefined
}

export function joinsOf(definition: DocumentDefinition): readonly Join[] {
  const joins: Join[] = []
  if (definition.sql !== undefined) return triggersOf(definition, definition.sql)
  addJoins(definition, undefined, '', joins)
  return joins
}

/** Of documents that a query gives nothing is known but which rows lead to them. */
function triggersOf(
  { table: parentTable }: DocumentDefinition,
  { triggers }: QueryDefinition,
): readonly Join[] {
  return Object.entries(triggers).map(([table, trigger], number) => {
    const pairs =
      trigger.roots === undefined
        ? Object.entries(trigger.on).map(([child, parent]) => ({ child, parent }))
        : trigger.columns.map((child) => ({ child, parent: '' }))
    const { roots } = trigger
    return {
      number,
      table,
      parent: undefined,
      parentTable,
      pairs,
      child: shownWhole(table),
      path: table,
      roots,
    }
  })
}

/** As if every column were shown: any of them may be used by the query. */
function shownWhole(table: string): ChildDefinition {
  return {
    table,
    fields: undefined,
    exclude: [],
    where: [],
    kind: 'many',
    on: {},
    through: undefined,
    order: [],
    limit: undefined,
    mapping: 'object',
  }
}

/** The joins whose rows belong to the rows of this one. */
export function joinsUnder(joins: readonly Join[], parent: number | undefined): readonly Join[] {
  return joins.filter((join) => join.parent === parent)
}

/** Every table but the root, once; the root too, where its rows are children as well. */
export function childTables(definition: DocumentDefinition): readonly string[] {
  return [...new Set(joinsOf(definition).map(({ table }) => table))]
}

/** Every table whose changes concern the documents, the root first. */
export function tablesIn(definition: DocumentDefinition): readonly string[] {
  return [...new Set([definition.table, ...childTables(definition)])]
}

/** Columns by which the rows of a join are found, sorted or left out; whether they are shown or not. */
export function decisiveColumns(joins: readonly Join[], join: Join): readonly string[] {
  const own = join.child
  return [
    ...new Set([
      ...join.pairs.map(({ child }) => child),
      ...parentColumns(joins, join.number),
      ...(own?.where ?? []).map(({ column }) => column),
      ...(own?.order ?? []).map(({ column }) => column),
    ]),
  ]
}

/** Columns of a join's rows, or of the root's, that children's columns equal. */
export function parentColumns(joins: readonly Join[], parent: number | undefined): readonly string[] {
  const pairs = joinsUnder(joins, parent).flatMap((join) => join.pairs)
  return [...new Set(pairs.map((pair) => pair.parent))]
}

function addJoins(rows: RowDefinition, parent: Join | undefined, path: string, joins: Join[]): void {
  for (const [field, child] of Object.entries(rows.children ?? {})) {
    const at = path === '' ? field : `${path}.${field}`
    const link =
      child.through === undefined
        ? parent
        : addJoin(joins, parent, rows.table, { ...child.through, path: at })
    const table = child.through?.table ?? rows.table
    const join = addJoin(joins, link, table, { table: child.table, on: child.on, path: at, child })
    addJoins(child, join, at, joins)
  }
}

interface Step {
  readonly table: string
  readonly on: Readonly<Record<string, string>>
  readonly path: string
  readonly child?: ChildDefinition
}

function addJoin(joins: Join[], parent: Join | undefined, parentTable: string, step: Step): Join {
  const join: Join = {
    number: joins.length,
    table: step.table,
    parent: parent?.number,
    parentTable,
    pairs: Object.entries(step.on).map(([child, column]) => ({ child, parent: column })),
    child: step.child,
    path: step.path,
  }
  joins.push(join)
  return join
}

/** Columns of a join's rows whose marks tell to whom they belong and who belongs to them. */
export function markedColumns(joins: readonly Join[], join: Join): readonly string[] {
  return [...new Set([...join.pairs.map(({ child }) => child), ...parentColumns(joins, join.number)])]
}

/** Columns that the rows of a join are read with, besides its marks; undefined = all. */
export function shownColumns({ child }: Join): readonly string[] | undefined {
  if (child === undefined) return []
  if (child.fields === undefined) return undefined
  return [...Object.values(child.fields), ...child.where.map(({ column }) => column)]
}

/**
 * Whether the columns of a join can be equal as the source compares them and as their marks do: both numbers, both texts,
 * or of the same kind.
 */
export function areComparable(child: ColumnKind, parent: ColumnKind): boolean {
  return child === parent || families.some((family) => family.has(child) && family.has(parent))
}

const families: readonly ReadonlySet<ColumnKind>[] = [
  new Set(['integer', 'bit', 'year']),
  new Set(['string', 'text']),
  new Set(['binary', 'blob']),
]

/** Whether documents are built by reading other tables. */
export function isJoined({ children = {}, sql }: DocumentDefinition): boolean {
  return sql !== undefined || Object.keys(children).length > 0
}
