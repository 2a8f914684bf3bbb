/** Which roots rows of joined tables belong to, by reads that see everything that the log has by then. */
import type { Key, Table } from '../../change/change.ts'
import { keyCells } from '../../change/row.ts'
import type { ChildChanges } from '../../document/enricher.ts'
import type { Source, View } from '../../source/source.ts'
import type { Captured } from '../capture/captured.ts'
import { climb, type Climb } from './climb.ts'
import type { Clock } from '../clock.ts'
import type { Gathered } from './gathered.ts'
import { keepPace, type Pace } from '../pace.ts'
import { distinctValues } from '../building/row-values.ts'
import type { Turnstile } from '../building/turnstile.ts'

export interface RootSearchParts {
  /** `schema.table` of the roots. */
  readonly table: string
  /** The other tables; the roots' own too, where its rows are shown by others. */
  readonly childTables: readonly string[]
  readonly changes: ChildChanges
  readonly source: Pick<Source, 'view'>
  /** The root table as it is now. */
  readonly describe: () => Promise<Table>
  readonly capture: Pick<Captured, 'position' | 'confirmed'>
  readonly clock: Clock
  readonly turnstile: Turnstile
  readonly pace: Pace
  /** Rows in one answer. */
  readonly pageRows: number
}

export interface FoundRoots {
  readonly roots: readonly Key[]
  /** What is left to do. */
  readonly rest: readonly Climb[]
}

/** Answers in one go. */
const pagesMax = 4
/** How long a description of the root table is good for, ms: changes of its columns have loads of their own. */
const describedMs = 5_000

export class RootSearch {
  readonly #parts: RootSearchParts
  #root: { readonly table: Table; readonly atMs: number } | undefined

  constructor(parts: RootSearchParts) {
    this.#parts = parts
  }

  get childTables(): readonly string[] {
    return this.#parts.childTables
  }

  get changes(): ChildChanges {
    return this.#parts.changes
  }

  async rootTable(): Promise<Table> {
    const { clock, describe } = this.#parts
    const known = this.#root
    if (known !== undefined && clock.elapsed() - known.atMs < describedMs) return known.table
    this.#root = { table: await describe(), atMs: clock.elapsed() }
    return this.#root.table
  }

  /** Of all of these, so far as a few answers tell. */
  async of(climbs: readonly Climb[], untold: Gathered['untold'], signal: AbortSignal): Promise<FoundRoots> {
    if (climbs.length + untold.size === 0) return { roots: [], rest: [] }
    return await this.#view(async (view, root) => {
      const read = await this.#untold(view, untold, signal)
      const all = [...climbs, ...read]
      const share = { climbs: all, pagesMax: all.length + pagesMax }
      return await climb(this.#climbParts(root, signal), view, share, signal)
    }, signal)
  }

  /** One answer more. */
  async page(climbs: readonly Climb[], signal: AbortSignal): Promise<FoundRoots> {
    return await this.#view(
      (view, root) => climb(this.#climbParts(root, signal), view, { climbs, pagesMax: 1 }, signal),
      signal,
    )
  }

  /** Rows that are known by their keys alone. */
  async #untold(view: View, untold: Gathered['untold'], signal: AbortSignal): Promise<readonly Climb[]> {
    const found: Climb[] = []
    for (const { table, keys } of untold.values()) {
      const by = table.key.map((at) => table.columns[at]?.name ?? '')
      const values = [...keys].map((key) => keyCells(key).map((cell) => cell ?? 'null'))
      for (const [ascent, way] of this.#parts.changes.ascents.entries()) {
        if (way.table !== table.name) continue
        const wanted = { table: table.name, columns: way.by, by, values, marks: [], order: [] }
        const rows = await view.related({ ...wanted, rowsMax: values.length }, signal)
        found.push({ ascent, values: distinctValues(rows.table, rows.rows, way.by) })
      }
    }
    return found.filter(({ values }) => values.length > 0)
  }

  /** At a time at which everything is seen that the log has by now. */
  async #view<Result>(
    read: (view: View, root: Table) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { source, capture, turnstile, table, childTables } = this.#parts
    const root = await this.rootTable()
    const tables = [...new Set([table, ...childTables])]
    const { found } = await capture.confirmed(
      async () =>
        await turnstile.pass(
          async () =>
            await source.view(
              { tables, includes: capture.position },
              async (view) => ({ found: await read(view, root), head: await view.head() }),
              signal,
            ),
        ),
      signal,
    )
    return found
  }

  #climbParts(root: Table, signal: AbortSignal): Parameters<typeof climb>[0] {
    const { changes, pace, clock, pageRows } = this.#parts
    const querying = (): Promise<void> => keepPace(pace, 1, clock, signal)
    return { ascents: changes.ascents, root, pageRows, querying }
  }
}
