/**
 * Stands before a pipeline's documents: rows of a table whose columns changed pass only where the pipeline's policy and
 * its index are ready for them. Entries of a log may be older than the table is now. Their columns are no reason to stop
 * where the table's present ones are in order, since the load that each change of columns brings about follows.
 */
import type { Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { Shape } from '../../document/definition.ts'
import type { Entries, Group } from '../../log/log.ts'
import type { Observe } from '../facts.ts'
import { compareShapes, tellDifference, type ShapeDifference } from './shape-difference.ts'

/** auto = the index follows the columns; propose = a new field waits for a person; freeze = every change does. */
export type ColumnPolicy = 'auto' | 'propose' | 'freeze'

/** What a pipeline's definition makes of its table's columns. */
export interface Columns {
  readonly policy: ColumnPolicy
  shapeOf(table: Table): Shape
  /** Of the table as it is now. */
  present(): Promise<Shape>
  /** By field, what the index would be told of it, as JSON text. */
  mappings(fields: Shape['fields']): Readonly<Record<string, string>>
}

/** What a person has accepted for this group; undefined = nothing was noted. */
export function acceptedShape(group: Pick<Group, 'attributes'> | undefined): Shape | undefined {
  const text = group?.attributes['columns']
  return text === undefined ? undefined : (JSON.parse(text) as Shape)
}

/** A pipeline that is to follow its columns from now on has documents without those that were never accepted. */
export function refuseUnaccepted(pipeline: string, accepted: Shape, present: Shape): void {
  const difference = compareShapes(accepted, present)
  if (difference.added.length === 0 && difference.broken.length === 0) return
  throw new Failure(
    'configuration',
    `policy.ddl of ${pipeline} is auto now, and its documents are without changes of the columns: ${tellDifference(difference)}`,
    {
      remedy: `run with --reload ${pipeline} to build every document anew, or with --keep ${pipeline} to leave those that are there`,
    },
  )
}

export interface ColumnGateParts {
  readonly pipeline: string
  readonly group: string
  /** `schema.table`. */
  readonly table: string
  readonly columns: Columns
  /** What a person has accepted; undefined = whatever the table has. */
  readonly accepted: Shape | undefined
  /** Makes the index ready for the table's present columns; throws where it cannot hold them. */
  readonly adapt: () => Promise<void>
  /** The load that is to be done or was done last: each change of columns brings about another. */
  readonly load: () => { readonly generation: number; readonly reason: string } | undefined
  readonly observe: Observe
}

export class ColumnGate {
  readonly #parts: ColumnGateParts
  #generation: number | undefined
  #passed = new WeakSet<Table>()
  /** By the shape's text: what was found, or is being found out. */
  #verdicts = new Map<string, Promise<void>>()
  #proposed = '{}'

  constructor(parts: ColumnGateParts) {
    this.#parts = parts
  }

  /** Throws a Failure where documents may not be made of these entries. */
  async admit(entries: Entries): Promise<void> {
    for (const table of entries.records.tables) {
      if (table.name === this.#parts.table) await this.admitTable(table)
    }
  }

  async admitTable(table: Table): Promise<void> {
    const generation = this.#parts.load()?.generation
    if (generation !== this.#generation) {
      this.#generation = generation
      this.#passed = new WeakSet()
      this.#verdicts = new Map()
    }
    const passed = this.#passed
    if (passed.has(table)) return
    const shape = this.#parts.columns.shapeOf(table)
    const text = JSON.stringify(shape)
    const verdict = this.#verdicts.get(text) ?? this.#judge(shape)
    this.#verdicts.set(text, verdict)
    await verdict
    passed.add(table)
  }

  /** Before the table is read from its first row: whether its present columns are in order. */
  async admitPresent(): Promise<void> {
    const { accepted, columns } = this.#parts
    if (accepted === undefined) return await this.#adapt()
    const difference = compareShapes(accepted, await columns.present())
    this.#propose(difference)
    this.#refuse(difference)
  }

  /** Says which fields documents could have, when that is another answer than the last. */
  async tell(): Promise<void> {
    const { accepted, columns } = this.#parts
    if (accepted !== undefined) this.#propose(compareShapes(accepted, await columns.present()))
  }

  async #judge(shape: Shape): Promise<void> {
    const { accepted, columns } = this.#parts
    if (accepted === undefined) return await this.#adapt()
    if (this.#isInOrder(compareShapes(accepted, shape))) return
    this.#refuse(compareShapes(accepted, await columns.present()))
  }

  /** What stands in the way is told with the statement that brought it about. */
  async #adapt(): Promise<void> {
    try {
      await this.#parts.adapt()
    } catch (error) {
      const reason = this.#parts.load()?.reason
      if (!(error instanceof Failure) || error.kind !== 'configuration' || reason === undefined) throw error
      const { kind, message, remedy } = error
      const settle = `where the pipeline file is changed, run with --reload ${this.#parts.pipeline}`
      throw new Failure(kind, `after ${reason}: ${message}`, {
        cause: error,
        remedy: remedy === undefined ? settle : `${remedy}; ${settle}`,
      })
    }
  }

  #isInOrder({ added, broken }: ShapeDifference): boolean {
    return broken.length === 0 && (added.length === 0 || this.#parts.columns.policy === 'propose')
  }

  #refuse(difference: ShapeDifference): void {
    if (this.#isInOrder(difference)) return
    const { pipeline, table, columns, load } = this.#parts
    const { policy } = columns
    const found = `the columns of ${table} changed and policy.ddl is ${policy}: ${tellDifference(difference)}`
    const accept = `correct the pipeline file where it names what is gone, then run with --reload ${pipeline} to build every document anew from the present columns, or with --keep ${pipeline} to use them for changes to come`
    const statement = load()?.reason
    throw new Failure(
      // A column that comes back lets a pipeline go on that waits; one that is frozen is a person's matter.
      policy === 'propose' ? 'transient' : 'configuration',
      statement === undefined ? found : `${found} (${statement})`,
      { remedy: policy === 'propose' ? `give the table the column back; or ${accept}` : accept },
    )
  }

  #propose({ added }: ShapeDifference): void {
    const { columns, observe, group, pipeline, table } = this.#parts
    if (columns.policy !== 'propose') return
    const mappings = columns.mappings(added)
    const text = JSON.stringify(mappings)
    if (text === this.#proposed) return
    this.#proposed = text
    observe({ kind: 'columns-proposed', group, pipeline, table, mappings })
  }
}
