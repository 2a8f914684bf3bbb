/**
 * The part of a document that comes from other tables, as JSON text. Rows are found by the marks of the columns that join
 * them (source/source.ts), in the order in which the source sorted them.
 */
import type { Table } from '../change/change.ts'
import { GrowingBytes } from '../change/growing-bytes.ts'
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

/** Writes what stands in documents besides the columns of the root. */
export class JoinedDocuments {
  readonly #levels: readonly Level[]
  readonly #roots: readonly Branch[]
  readonly #into: GrowingBytes

  constructor({ rootMarks, joins, found }: JoinedRows) {
    this.#levels = joins.map((join) => new Level(joins, join, found[join.number]))
    this.#roots = branchesOf(joins, undefined, rootMarks)
    this.#into = new GrowingBytes(
      this.#levels.reduce((sum, { bytesUsual }) => sum + bytesUsual, bytesAtLeast),
    )
  }

  /** All that was written; another buffer after the next call of `write`. */
  get bytes(): Buffer {
    return this.#into.bytes
  }

  /** Writes `"customer":{...},"lines":[...]` of a root behind what was written before, and answers where that ends. */
  write(root: Marked | undefined): number {
    this.#members(this.#roots, root)
    return this.#into.at
  }

  #members(branches: readonly Branch[], parent: Marked | undefined): void {
    for (let at = 0; at < branches.length; at++) {
      const branch = branches[at]
      if (branch === undefined) break
      if (at > 0) this.#into.write(',')
      this.#into.write(branch.name)
      this.#value(branch, parent)
    }
  }

  #value({ join, link, places }: Branch, parent: Marked | undefined): void {
    const into = this.#into
    const token = tokenOf(parent, places)
    const rows = link === undefined ? this.#rows(join, token) : this.#linked(join, link, token)
    const { kind, limit = Infinity } = join.child
    if (kind === 'one') {
      const [first] = rows
      if (first === undefined) into.write('null')
      else this.#object(join, first)
      return
    }
    into.write('[')
    for (let index = 0; index < rows.length && index < limit; index++) {
      if (index > 0) into.write(',')
      this.#object(join, rows[index] ?? none)
    }
    into.write(']')
  }

  #rows(join: Join, token: string | undefined): readonly number[] {
    return this.#levels[join.number]?.rowsOf(token) ?? []
  }

  /** The rows behind those of a link table, in their own order. */
  #linked(join: Join, link: Link, token: string | undefined): readonly number[] {
    const level = this.#levels[link.join.number]
    const rows: number[] = []
    for (const at of this.#rows(link.join, token))
      rows.push(...this.#rows(join, tokenOf(level?.rowAt(at), link.places)))
    return rows.toSorted((a, b) => a - b)
  }

  #object(join: Join, at: number): void {
    const level = this.#levels[join.number]
    if (level === undefined) throw new Error('a join without its rows')
    const into = this.#into
    const start = into.at
    level.writeRow(at, into)
    if (level.branches.length === 0) return
    // The closing brace makes room.
    into.at--
    if (into.at - start > 1) into.write(',')
    this.#members(level.branches, level.rowAt(at))
    into.write('}')
  }
}

const bytesAtLeast = 1024

/** A row, as far as other rows are found by it. */
type Marked = Pick<RelatedRow, 'mark'>

/** A field that shows rows of another table, and where the marks that they are found by stand among those of its parent. */
interface Branch {
  /** The field's name as it stands before its value. */
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
    const name = `${bytesOf(JSON.stringify(join.path.slice(join.path.lastIndexOf('.') + 1)))}:`
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
function tokenOf(row: Marked | undefined, places: readonly number[]): string | undefined {
  const [first = none] = places
  if (places.length === 1) return row?.mark(first)
  let token = ''
  for (const place of places) {
    const mark = row?.mark(place)
    if (mark === undefined) return undefined
    token += `${mark}\u0000`
  }
  return token
}

/** The rows of one join. */
class Level {
  readonly branches: readonly Branch[]
  /** About what its rows take in documents. */
  readonly bytesUsual: number
  readonly #rows: readonly RelatedRow[]
  /** The first row with a token, and for each row the next one with the same; -1 = there is none. */
  readonly #first = new Map<string, number>()
  readonly #next: Int32Array
  readonly #document: RowDocument | undefined
  readonly #isFiltered: boolean

  constructor(joins: readonly Join[], join: Join, found: RelatedRows | undefined) {
    const marked = markedColumns(joins, join)
    this.branches = join.child === undefined ? [] : branchesOf(joins, join.number, marked)
    this.#rows = found?.rows ?? []
    this.#next = new Int32Array(this.#rows.length).fill(none)
    this.#isFiltered = join.child !== undefined && join.child.where.length > 0
    this.#document =
      join.child === undefined || found === undefined ? undefined : documentOf(join.child, found.table)
    this.bytesUsual = this.#link(join.pairs.map(({ child }) => marked.indexOf(child)))
  }

  /** Puts rows with the same values in these places behind each other; answers what they may take. */
  #link(places: readonly number[]): number {
    let bytes = 0
    // From the last on, so that each is put before those that follow it.
    for (let at = this.#rows.length - 1; at >= 0; at--) {
      const row = this.#rows[at]
      const token = tokenOf(row, places)
      if (token === undefined || row === undefined || !this.#isShown(row)) continue
      this.#next[at] = this.#first.get(token) ?? none
      this.#first.set(token, at)
      bytes += this.#document?.bytesMaxOf(row.to - row.from) ?? 0
    }
    return bytes
  }

  rowsOf(token: string | undefined): readonly number[] {
    const rows: number[] = []
    let at = token === undefined ? none : (this.#first.get(token) ?? none)
    for (; at !== none; at = this.#next[at] ?? none) rows.push(at)
    return rows
  }

  rowAt(at: number): RelatedRow | undefined {
    return this.#rows[at]
  }

  /** Writes the row's own part of a document. */
  writeRow(at: number, into: GrowingBytes): void {
    const row = this.#rows[at]
    if (row === undefined || this.#document === undefined) throw new Error('a join without its rows')
    this.#document.read(row.bytes, row.from, row.to)
    const body = this.#document.body()
    into.room(body.bytesMax)
    into.at = body.write(into.bytes, into.at)
  }

  #isShown({ bytes, from, to }: RelatedRow): boolean {
    if (!this.#isFiltered) return true
    this.#document?.read(bytes, from, to)
    return this.#document?.exists ?? true
  }
}

const none = -1

const documents = new WeakMap<Table, Map<object, RowDocument>>()

function documentOf(child: NonNullable<Join['child']>, table: Table): RowDocument {
  const known = documents.get(table) ?? new Map<object, RowDocument>()
  documents.set(table, known)
  const document = known.get(child) ?? rowDocument(child, table, { columns: [], prefix: '' })
  known.set(child, document)
  return document
}
