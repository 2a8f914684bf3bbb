/**
 * The part of a document that comes from other tables, as JSON text. Rows are found by the marks of the columns that join
 * them (source/source.ts), in the order in which the source sorted them.
 */
import type { Table } from '../change/change.ts'
import { bytesOf } from '../change/row.ts'
import type { RelatedRow, RelatedRows } from '../source/source.ts'
import { joinsUnder, markedColumns, type Join } from './joins.ts'
import { rowDocument } from './mapping.ts'
import type { RowDocument } from './row-document.ts'

/** All that a batch of documents is made from; the rows of each join under its number. */
export interface JoinedRows {
  /** Columns of the root that its marks are of. */
  readonly rootMarks: readonly string[]
  readonly joins: readonly Join[]
  readonly found: readonly (RelatedRows | undefined)[]
}

/** Writes what stands in documents besides the columns of the root; one character for each byte. */
export class JoinedDocuments {
  readonly #levels: readonly Level[]
  readonly #roots: readonly Branch[]

  constructor({ rootMarks, joins, found }: JoinedRows) {
    this.#levels = joins.map((join) => new Level(joins, join, found[join.number]))
    this.#roots = branchesOf(joins, undefined, rootMarks)
  }

  /** `"customer":{...},"lines":[...]` of the root row with these marks. */
  members(marks: RelatedRow['marks']): string {
    return this.#members(this.#roots, marks)
  }

  #members(branches: readonly Branch[], marks: RelatedRow['marks']): string {
    return branches.map((branch) => `${branch.name}:${this.#value(branch, marks)}`).join(',')
  }

  #value({ join, link, places }: Branch, marks: RelatedRow['marks']): string {
    const rows =
      link === undefined ? this.#rows(join, marks, places) : this.#linked(join, link, marks, places)
    const [first] = rows
    const { kind, limit } = join.child
    if (kind === 'one') return first === undefined ? 'null' : this.#object(join, first)
    return `[${rows
      .slice(0, limit)
      .map((at) => this.#object(join, at))
      .join(',')}]`
  }

  #rows(join: Join, marks: RelatedRow['marks'], places: readonly number[]): readonly number[] {
    return this.#levels[join.number]?.rowsOf(tokenOf(marks, places)) ?? []
  }

  /** The rows behind those of a link table, in their own order. */
  #linked(join: Join, link: Link, marks: RelatedRow['marks'], places: readonly number[]): readonly number[] {
    const level = this.#levels[link.join.number]
    const rows = this.#rows(link.join, marks, places).flatMap((at) =>
      this.#rows(join, level?.marksAt(at) ?? [], link.places),
    )
    return rows.toSorted((a, b) => a - b)
  }

  #object(join: Join, at: number): string {
    const level = this.#levels[join.number]
    if (level === undefined) throw new Error('a join without its rows')
    return level.textAt(at, () => this.#members(level.branches, level.marksAt(at)))
  }
}

/** A field that shows rows of another table, and where the marks that they are found by stand among those of its parent. */
interface Branch {
  /** The field's name, quoted. */
  readonly name: string
  readonly join: Join & { readonly child: NonNullable<Join['child']> }
  readonly link: Link | undefined
  readonly places: readonly number[]
}

interface Link {
  readonly join: Join
  readonly places: readonly number[]
}

function branchesOf(
  joins: readonly Join[],
  parent: number | undefined,
  marked: readonly string[],
): readonly Branch[] {
  return joinsUnder(joins, parent).flatMap((join): readonly Branch[] => {
    const places = placesOf(join, marked)
    const name = bytesOf(JSON.stringify(join.path.slice(join.path.lastIndexOf('.') + 1)))
    if (join.child !== undefined)
      return [{ name, join: { ...join, child: join.child }, link: undefined, places }]
    const behind = joinsUnder(joins, join.number)
    return behind.flatMap((shown): readonly Branch[] => {
      const { child } = shown
      const link = { join, places: placesOf(shown, markedColumns(joins, join)) }
      return child === undefined ? [] : [{ name, join: { ...shown, child }, link, places }]
    })
  })
}

/** Where the columns of the parent that a join equals stand among its marks. */
function placesOf(join: Join, marked: readonly string[]): readonly number[] {
  return join.pairs.map(({ parent }) => marked.indexOf(parent))
}

/** undefined = one of the values is NULL, which equals nothing. */
function tokenOf(marks: RelatedRow['marks'], places: readonly number[]): string | undefined {
  let token = ''
  for (const place of places) {
    const mark = marks[place]
    if (mark === undefined) return undefined
    token += `${mark}\u0000`
  }
  return token
}

const noRows: readonly number[] = []

/** The rows of one join. */
class Level {
  readonly branches: readonly Branch[]
  readonly #rows: readonly RelatedRow[]
  readonly #byToken = new Map<string, number[]>()
  readonly #document: RowDocument | undefined
  readonly #texts: (string | undefined)[] = []
  readonly #isFiltered: boolean

  constructor(joins: readonly Join[], join: Join, found: RelatedRows | undefined) {
    const marked = markedColumns(joins, join)
    this.branches = join.child === undefined ? [] : branchesOf(joins, join.number, marked)
    this.#rows = found?.rows ?? []
    this.#isFiltered = join.child !== undefined && join.child.where.length > 0
    this.#document =
      join.child === undefined || found === undefined ? undefined : documentOf(join.child, found.table)
    const places = join.pairs.map(({ child }) => marked.indexOf(child))
    for (const [at, { marks }] of this.#rows.entries()) {
      const token = tokenOf(marks, places)
      if (token === undefined || !this.#isShown(at)) continue
      const others = this.#byToken.get(token)
      if (others === undefined) this.#byToken.set(token, [at])
      else others.push(at)
    }
  }

  rowsOf(token: string | undefined): readonly number[] {
    return token === undefined ? noRows : (this.#byToken.get(token) ?? noRows)
  }

  marksAt(at: number): RelatedRow['marks'] {
    return this.#rows[at]?.marks ?? []
  }

  /** A row may be shown by several documents: its text is made once. */
  textAt(at: number, members: () => string): string {
    const known = this.#texts[at]
    if (known !== undefined) return known
    const row = this.#read(at)?.text() ?? '{}'
    const more = this.branches.length === 0 ? '' : members()
    const comma = row === '{}' || more === '' ? '' : ','
    const text = `${row.slice(0, -1)}${comma}${more}}`
    this.#texts[at] = text
    return text
  }

  #isShown(at: number): boolean {
    return !this.#isFiltered || (this.#read(at)?.exists ?? true)
  }

  #read(at: number): RowDocument | undefined {
    const bytes = Buffer.from(this.#rows[at]?.row ?? '', 'latin1')
    this.#document?.read(bytes, 0, bytes.length)
    return this.#document
  }
}

const documents = new WeakMap<Table, Map<object, RowDocument>>()

function documentOf(child: NonNullable<Join['child']>, table: Table): RowDocument {
  const known = documents.get(table) ?? new Map<object, RowDocument>()
  documents.set(table, known)
  const document = known.get(child) ?? rowDocument(child, table, { columns: [], prefix: '' })
  known.set(child, document)
  return document
}
