/**
 * From changed rows of joined tables up to the roots that show them: level by level, by queries whose answers are bounded.
 * Where many rows belong to one value, their keys are read in pages; what is left of such work when its share is used up can
 * be noted and gone on with later.
 *
 *   line 7 ──(order_id 3)──▶ order 3: a root           product 9 ──▶ lines of product 9, page after page ──▶ their orders
 */
import type { Key, Table } from '../../change/change.ts'
import { keyCells, keyOf } from '../../change/row.ts'
import type { Ascent } from '../../document/enricher.ts'
import type { View } from '../../source/source.ts'
import { distinctValues } from '../building/row-values.ts'

/** Rows that are to be left by an ascent, as the values that they are left by. */
export interface Climb {
  readonly ascent: number
  readonly values: readonly (readonly string[])[]
  /** Pages before this key are done; only where there is one combination of values. */
  readonly after?: Key | undefined
}

export interface ClimbParts {
  readonly ascents: readonly Ascent[]
  /** The root table as it is now. */
  readonly root: Table
  /** Rows in one answer. */
  readonly pageRows: number
  /** Told before each query. */
  readonly querying: () => Promise<void>
}

/** Answers the roots that were found, and what is left to do after so many answers. */
export async function climb(
  parts: ClimbParts,
  view: Omit<View, 'head'>,
  { climbs, pagesMax }: { readonly climbs: readonly Climb[]; readonly pagesMax: number },
  signal: AbortSignal,
): Promise<{ readonly roots: readonly Key[]; readonly rest: readonly Climb[] }> {
  const roots = new Set<Key>()
  const waiting = climbs.flatMap(inStatements)
  let pages = 0
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const direct = directKeys(parts, next)
    if (direct !== undefined) {
      for (const key of direct) roots.add(key)
      continue
    }
    if (pages++ >= pagesMax) {
      waiting.push(next)
      break
    }
    const take = parts.ascents[next.ascent]?.roots === undefined ? step : stepByQuery
    const { found, more, later } = await take(parts, view, next, signal)
    waiting.push(...more.flatMap(inStatements))
    // One that has very many rows comes last.
    waiting.unshift(...later)
    for (const key of found) roots.add(key)
  }
  return { roots: [...roots], rest: waiting }
}

/** Combinations of values in one statement. */
const valuesMax = 500

function inStatements(climbs: Climb): readonly Climb[] {
  const { values } = climbs
  if (values.length <= valuesMax) return [climbs]
  const pieces: Climb[] = []
  for (let from = 0; from < values.length; from += valuesMax)
    pieces.push({ ...climbs, values: values.slice(from, from + valuesMax) })
  return pieces
}

/** Where the values are the very key of the roots, spelled in the one way that there is. */
function directKeys({ ascents, root }: ClimbParts, { ascent, values }: Climb): readonly Key[] | undefined {
  const way = ascents[ascent]
  if (way === undefined || way.parent !== undefined || way.roots !== undefined) return undefined
  const columns = root.key.map((at) => root.columns[at])
  const places = columns.map((column) => way.parentColumns.indexOf(column?.name ?? ''))
  const isKey = !places.includes(-1) && places.length === way.parentColumns.length
  if (!isKey || !hasExactKey(root)) return undefined
  const table = { ...root, key: places }
  return values.map((cells) => keyOf(table, cells))
}

function hasExactKey({ columns, key }: Table): boolean {
  return key.every((at) => exactKinds.has(columns[at]?.kind ?? ''))
}

/** Values of these kinds are equal only where their cells are, whatever the column. */
const exactKinds: ReadonlySet<string> = new Set(['integer', 'uuid', 'date'])

interface Step {
  readonly found: readonly Key[]
  readonly more: readonly Climb[]
  /** The next page. */
  readonly later: readonly Climb[]
}

async function step(
  { ascents, pageRows, querying }: ClimbParts,
  view: Omit<View, 'head'>,
  { ascent, values, after }: Climb,
  signal: AbortSignal,
): Promise<Step> {
  const way = ascents[ascent]
  if (way === undefined) throw new Error(`there is no ascent ${ascent}`)
  const above = way.parent === undefined ? undefined : ascents[way.parent]
  await querying()
  const { table, rows } = await view.related(
    {
      table: way.parentTable,
      columns: above?.by ?? [],
      by: way.parentColumns,
      values,
      marks: [],
      order: [],
      after,
      rowsMax: pageRows,
    },
    signal,
  )
  const isFull = rows.length === pageRows
  if (isFull && values.length > 1) {
    const middle = values.length >> 1
    const halves = [values.slice(0, middle), values.slice(middle)]
    return { found: [], more: halves.map((half) => ({ ascent, values: half })), later: [] }
  }
  const later = isFull ? [{ ascent, values, after: rows.at(-1)?.key }] : []
  if (above === undefined || way.parent === undefined)
    return { found: rows.map(({ key }) => key), more: [], later }
  const onward = distinctValues(table, rows, above.by)
  return { found: [], more: onward.length === 0 ? [] : [{ ascent: way.parent, values: onward }], later }
}

/** The keys of roots as a person's query answers them, in pages. */
async function stepByQuery(
  { ascents, root, pageRows, querying }: ClimbParts,
  view: Omit<View, 'head'>,
  { ascent, values, after }: Climb,
  signal: AbortSignal,
): Promise<Step> {
  const { table = '', by = [], roots: sql = '' } = ascents[ascent] ?? {}
  const names = root.key.map((at) => root.columns[at]?.name ?? '')
  await querying()
  const page = { rowsMax: pageRows, after }
  const question = { sql, table, by, keyLength: names.length }
  const { rows } = await view.answers({ ...question, values, page }, signal)
  const last = rows.length === pageRows ? rows.at(-1)?.key : undefined
  const later = last === undefined ? [] : [{ ascent, values, after: last }]
  const keys = rows.map(({ key }) => keyCells(key).flatMap((cell) => cell ?? []))
  const wanted = keys.filter((cells) => cells.length === names.length)
  if (wanted.length === 0) return { found: [], more: [], later }
  const whole = { ...root, key: names.map((_, at) => at) }
  if (hasExactKey(root)) return { found: wanted.map((cells) => keyOf(whole, cells)), more: [], later }
  // As the roots spell their keys.
  await querying()
  const request = { table: root.name, columns: [], by: names, values: wanted, marks: [], order: [] }
  const known = await view.related({ ...request, rowsMax: wanted.length }, signal)
  return { found: known.rows.map(({ key }) => key), more: [], later }
}
