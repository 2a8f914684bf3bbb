/** One table's rows as documents, without any look-up. */
import type { Column, Key, Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { operations, RecordCursor } from '../change/records.ts'
import type { Entries } from '../log/log.ts'
import type { Operation } from '../sink/sink.ts'
import type { DocumentDefinition, Form, RowDefinition } from './definition.ts'
import type { Mapped, RowMapper, Work } from './enricher.ts'
import { compileFilter, type CompiledFilter } from './filter.ts'
import { cellForm, formsOf } from './form.ts'
import { placePlan, type Place, type PlacePlan } from './place.ts'
import { RowDocument } from './row-document.ts'
import { RowWorks } from './row-works.ts'

export interface DocumentField {
  readonly field: string
  readonly column: Column
  /** Undefined = that of change events. */
  readonly form: Form | undefined
}

/**
 * Entries of a log may be older than a column that the definition uses: their documents are without it, and none where it
 * decides whether there is one. The load that the new column, or the new definition, brings about makes them whole.
 * The methods throw a Failure of kind `configuration` when the table lacks a column of the id.
 */
export class Mapper implements RowMapper {
  readonly #definition: DocumentDefinition
  readonly #documents = new WeakMap<Table, RowDocument>()
  #latest: RowDocument | undefined

  constructor(definition: DocumentDefinition) {
    this.#definition = definition
  }

  map(entries: Entries): Mapped {
    const isRow = this.#definition.placing === undefined && this.#definition.forms === undefined
    return isRow ? this.#mapRows(entries) : this.#mapAll(entries)
  }

  /** Where documents are nothing but their rows. */
  #mapRows(entries: Entries): Mapped {
    const cursor = new RecordCursor(entries.records)
    const works = new RowWorks(entries, (table) => this.#documentOf(table))
    const incomplete: number[] = []
    for (let at = 0; at < entries.length; at++) {
      cursor.seek(entries.place(at))
      const document = this.#documentOf(cursor.table)
      const op = askedOf(cursor, document)
      if (op === 'incomplete') incomplete.push(at)
      else if (op !== undefined) works.add(at, op, idOf(cursor, document))
    }
    return { works, incomplete }
  }

  #mapAll(entries: Entries): Mapped {
    const cursor = new RecordCursor(entries.records)
    const works: Work[] = []
    const incomplete: number[] = []
    for (let at = 0; at < entries.length; at++) {
      cursor.seek(entries.place(at))
      const document = this.#documentOf(cursor.table)
      const operation = operationOf(cursor, document, entries.version(at))
      if (operation === 'incomplete') incomplete.push(at)
      else if (operation !== undefined && !document.isPlaced) works.push({ at, operation })
      else if (operation !== undefined)
        for (const placed of placedOperations(cursor, document, operation, entries.version(at)))
          works.push({ at, operation: placed })
    }
    return { works, incomplete }
  }

  get isPlaced(): boolean {
    return this.#definition.placing !== undefined
  }

  gone(table: Table, key: Key, version: bigint): Operation {
    const id = this.#documentOf(table).idOfKey(key)
    const gone = {
      op: 'delete',
      id,
      version,
      routing: undefined,
      repeatable: false,
      body: undefined,
    } as const
    return this.isPlaced ? { ...gone, everywhere: true } : gone
  }

  #documentOf(table: Table): RowDocument {
    if (this.#latest?.table === table) return this.#latest
    const document = this.#documents.get(table) ?? planFor(this.#definition, table)
    this.#documents.set(table, document)
    return (this.#latest = document)
  }
}

/** Throws a Failure of kind `configuration` when the table lacks a column that the definition uses. */
export function checkDefinition(definition: DocumentDefinition, table: Table): void {
  checkRows(definition, table)
  planFor(definition, table)
}

/** As checkDefinition, of rows that need not have an id. */
export function checkRows(definition: RowDefinition, table: Table): void {
  checkForms(definition, documentFields(definition, table))
  compileFilter(definition.where, table)
}

/** The fields of the documents and the columns that they show, in column order. An excluded column may have left already. */
export function documentFields(definition: RowDefinition, table: Table): readonly DocumentField[] {
  const { fields, exclude } = definition
  if (fields === undefined) {
    return table.columns
      .filter((column) => !exclude.includes(column.name))
      .map((column) => ({ field: column.name, column, form: formOf(definition, column.name) }))
  }
  const chosen = Object.entries(fields).map(([field, name]) => ({
    field,
    at: columnAt(table, name, 'fields'),
  }))
  return chosen
    .toSorted((a, b) => a.at - b.at)
    .flatMap(({ field, at }) => {
      const column = table.columns[at]
      return column === undefined ? [] : [{ field, column, form: formOf(definition, field) }]
    })
}

function formOf({ forms = {} }: RowDefinition, field: string): Form | undefined {
  return Object.hasOwn(forms, field) ? forms[field] : undefined
}

function checkForms({ forms = {}, table }: RowDefinition, fields: readonly DocumentField[]): void {
  for (const [field, form] of Object.entries(forms)) {
    const column = fields.find((each) => each.field === field)?.column
    if (column === undefined)
      throw new Failure('configuration', `forms: the documents of ${table} have no field ${field}`, {
        remedy: `their fields are ${fields.map((each) => each.field).join(', ')}`,
      })
    if (formsOf(column).includes(form)) continue
    throw new Failure('configuration', `forms: ${field} (${column.type}) cannot be shown as ${form}`, {
      remedy: `it can be shown as ${formsOf(column).join(', ')}`,
    })
  }
}

function planFor(definition: DocumentDefinition, table: Table): RowDocument {
  return rowDocument(definition, table, {
    columns: definition.id?.map((name) => keyColumnAt(table, name)) ?? table.key,
    prefix: definition.idPrefix,
    place: definition.placing === undefined ? undefined : placePlan(definition.placing, table),
  })
}

/** What a definition makes of a table's rows; columns that the table lacks are left out. */
export function rowDocument(
  definition: RowDefinition,
  table: Table,
  id: {
    readonly columns: readonly number[]
    readonly prefix: string
    readonly place?: PlacePlan | undefined
  },
): RowDocument {
  if (table.name !== definition.table)
    throw new Error(`a change of ${table.name} reached ${definition.table}`)
  const known = new Set(table.columns.map(({ name }) => name))
  const shown = documentFields(knownFields(definition, known), table)
  return new RowDocument(table, {
    fields: shown.map(({ field, column, form }) => ({
      field,
      at: table.columns.indexOf(column),
      form: cellForm(column, form),
    })),
    isMasked: shown.every(({ column }) => column.mask === definition.masks?.[column.name]),
    idColumns: id.columns,
    idPrefix: id.prefix,
    filter: filterFor(definition, table, known),
    place: id.place,
  })
}

/** The definition without the fields of columns that are not there. */
export function knownFields<Definition extends RowDefinition>(
  definition: Definition,
  known: { has(column: string): boolean },
): Definition {
  const { fields } = definition
  if (fields === undefined) return definition
  const left = Object.entries(fields).filter(([, column]) => known.has(column))
  return { ...definition, fields: Object.fromEntries(left) }
}

function filterFor(
  { where }: RowDefinition,
  table: Table,
  known: ReadonlySet<string>,
): CompiledFilter | undefined {
  if (where.length === 0) return undefined
  return where.every(({ column }) => known.has(column)) ? compileFilter(where, table) : matchesNothing
}

const matchesNothing: CompiledFilter = { columns: [], matches: () => false }

function columnAt(table: Table, name: string, where: string): number {
  const at = table.columns.findIndex((column) => column.name === name)
  if (at === -1)
    throw new Failure('configuration', `${where}: ${table.name} has no column ${name}`, {
      remedy: `its columns are ${table.columns.map((column) => column.name).join(', ')}`,
    })
  return at
}

function keyColumnAt(table: Table, name: string): number {
  const at = columnAt(table, name, 'id')
  if (!table.key.includes(at))
    throw new Failure('configuration', `id: ${name} is not part of the key of ${table.name}`, {
      remedy: `use columns of the key: ${table.key.map((each) => table.columns[each]?.name).join(', ')}`,
    })
  return at
}

function operationOf(
  cursor: RecordCursor,
  document: RowDocument,
  version: bigint,
): Operation | 'incomplete' | undefined {
  const op = askedOf(cursor, document)
  if (op === 'incomplete' || op === undefined) return op
  const common = { id: idOf(cursor, document), version, routing: undefined, repeatable: true }
  if (op === 'index') return { ...common, op, body: document.body() }
  return { ...common, op, body: undefined }
}

/** What the record asks for; the document stands on the row that says it. */
function askedOf(cursor: RecordCursor, document: RowDocument): Operation['op'] | 'incomplete' | undefined {
  const { records, operation, beforeAt, afterAt, keyAt } = cursor
  if (operation === operations.touch) return 'incomplete'
  if (keyAt > afterAt) {
    document.read(records.bytes, afterAt, keyAt)
    if (!document.isWhole) return 'incomplete'
    if (document.exists) return 'index'
  }
  // Without a row before there is no document to delete, nor where that row had none.
  if (afterAt === beforeAt) return undefined
  document.read(records.bytes, beforeAt, afterAt)
  return document.isDecided && !document.exists ? undefined : 'delete'
}

function idOf(cursor: RecordCursor, document: RowDocument): string {
  return document.isWhole ? document.id() : document.idOfKey(cursor.key)
}

/** What an entry asks for at the place of its document, and at the one that the document left. */
function placedOperations(
  cursor: RecordCursor,
  document: RowDocument,
  operation: Operation,
  version: bigint,
): readonly Operation[] {
  const { records, beforeAt, afterAt, keyAt } = cursor
  const before = placeIn(document, records.bytes, [beforeAt, afterAt])
  if (operation.op === 'delete')
    return [before === 'unshown' ? { ...operation, everywhere: true } : { ...operation, ...before }]
  const after = placeIn(document, records.bytes, [afterAt, keyAt])
  const placed = { ...operation, ...(after === 'unshown' ? {} : after) }
  if (before === 'unshown') return [{ ...placed, everywhere: true }]
  return [placed, ...leaving(before, placed, { id: operation.id, version })]
}

/** undefined = there is no such row, or it has no document. */
function placeIn(
  document: RowDocument,
  row: Buffer,
  [from, to]: readonly [number, number],
): Place | 'unshown' | undefined {
  if (to === from) return undefined
  document.read(row, from, to)
  if (document.isDecided && !document.exists) return undefined
  return document.showsPlace ? document.place() : 'unshown'
}

function leaving(
  before: Place | 'unshown' | undefined,
  after: Place | undefined,
  { id, version }: { readonly id: string; readonly version: bigint },
): readonly Operation[] {
  if (before === undefined || before === 'unshown') return []
  if (before.routing === after?.routing && before.index === after?.index) return []
  // Another routing may lead to the same shard: there the two are one document, and what was written stays.
  const left = { op: 'delete', id, version, repeatable: false, vacates: true, body: undefined } as const
  return [{ ...left, ...before }]
}
