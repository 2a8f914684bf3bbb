/**
 * What rows that a foreign key changes unseen have in common with the rows of the parent whose change began it: along each
 * key, the referring columns have the values of those that they refer to.
 *
 *   tenants.id ──▶ lines.tenant ──▶ notes.tenant      notes refer to lines by (tenant, line): whatever their line,
 *                                                     their tenant is one of those that were deleted
 */
import type { Action, ForeignKey } from './foreign-keys.ts'

export interface Inherited {
  /** What becomes of the rows. */
  readonly change: 'deleted' | 'updated'
  /** The child's columns, as they are written → those of the parent whose values they have, in small letters. */
  readonly columns: ReadonlyMap<string, string>
}

export interface WayDown {
  readonly keysOf: (parent: string) => readonly ForeignKey[]
  /** Whether the child is reached from there. */
  readonly leadsOn: (parent: string, change: 'deleted' | 'updated') => boolean
  /** In small letters. */
  readonly child: string
}

/**
 * Over all ways by which the child is reached. undefined = they differ in what the rows inherit, one of them leaves nothing or
 * goes in circles, or columns of the child's keys change.
 */
export function inheritedBy(
  way: WayDown,
  table: string,
  change: 'deleted' | 'updated',
): Inherited | undefined {
  const found = [...stepsTo(way, { table, change, known: undefined, passed: new Set([table]) })]
  const ends = found.filter((end) => end !== 'uncertain')
  const [first] = ends
  if (first === undefined || ends.length < found.length || first.columns.size === 0) return undefined
  const { columns } = first
  if (ends.some((end) => textOf(end.columns) !== textOf(columns))) return undefined
  return { change: ends.every((end) => end.change === 'deleted') ? 'deleted' : 'updated', columns }
}

interface Step {
  readonly table: string
  readonly change: 'deleted' | 'updated'
  /** The table's columns in small letters → the first parent's; undefined = this is the first parent. */
  readonly known: ReadonlyMap<string, string> | undefined
  readonly passed: ReadonlySet<string>
}

function* stepsTo(way: WayDown, { table, change, known, passed }: Step): Generator<Inherited | 'uncertain'> {
  for (const key of way.keysOf(table)) {
    const action = actionOf(key, change)
    if (action === 'nothing') continue
    const columns = columnsAfter(key, known)
    const leadsOn = way.leadsOn(key.child, action)
    if (key.child === way.child) yield endOf(key, action, columns)
    if (!leadsOn) continue
    if (passed.has(key.child)) yield 'uncertain'
    else
      yield* stepsTo(way, {
        table: key.child,
        change: action,
        known: new Map([...columns].map(([column, from]) => [column.toLowerCase(), from])),
        passed: new Set([...passed, key.child]),
      })
  }
}

function endOf(
  { referring }: ForeignKey,
  change: 'deleted' | 'updated',
  columns: Inherited['columns'],
): Inherited | 'uncertain' {
  const changesKeys = change === 'updated' && referring.some(({ isKeyed }) => isKeyed)
  return changesKeys ? 'uncertain' : { change, columns }
}

function columnsAfter({ columns, referring }: ForeignKey, known: Step['known']): Map<string, string> {
  const after = new Map<string, string>()
  for (const [at, { column }] of referring.entries()) {
    const parent = columns[at] ?? ''
    const from = known === undefined ? parent : known.get(parent)
    if (from !== undefined) after.set(column, from)
  }
  return after
}

function textOf(columns: Inherited['columns']): string {
  return [...columns]
    .map((pair) => pair.join(' '))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join(',')
}

export function actionOf({ onDelete, onUpdate }: ForeignKey, change: 'deleted' | 'updated'): Action {
  return change === 'deleted' ? onDelete : onUpdate
}
