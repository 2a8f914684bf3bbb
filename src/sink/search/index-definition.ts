/** The index that a pipeline's columns and its file ask for: settings and an explicit mapping. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Column, ColumnKind } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { stampField, stampMembers, type IndexMark } from '../sink.ts'

/** A field of the documents and the column that it shows. */
interface IndexField {
  readonly field: string
  readonly column: Column
  /** How documents show the value, where it is not as in change events. */
  readonly form?: string | undefined
}

/** Plain JSON, as the server's reference describes it. */
export type FieldMapping = Readonly<Record<string, unknown>>

/** A field of the documents that holds objects with fields of their own. */
export interface IndexChild {
  readonly field: string
  readonly mapping: 'object' | 'nested' | 'flattened'
  readonly fields: readonly IndexField[]
  readonly children: readonly IndexChild[]
}

export interface IndexWishes {
  readonly fields: readonly IndexField[]
  /** Fields that the documents have besides, which need a mapping of the user's to be searched; 'any' = nobody knows them. */
  readonly others?: readonly string[] | 'any'
  readonly children?: readonly IndexChild[]
  /** Documents show what they were made from. */
  readonly stamped?: boolean
  /** Index settings, nested or with dots, with or without the leading `index`. */
  readonly settings: Readonly<Record<string, unknown>>
  /** By field, laid over what follows from the columns; a field whose `type` is given is replaced. */
  readonly mappings: Readonly<Record<string, FieldMapping>>
}

export interface IndexDefinition {
  readonly settings: Readonly<Record<string, unknown>>
  readonly properties: Readonly<Record<string, FieldMapping>>
}

/** Throws a Failure of kind `configuration` for names that no document field can have. */
export function defineIndex({
  fields,
  children = [],
  others = [],
  stamped = false,
  settings,
  mappings,
}: IndexWishes): IndexDefinition {
  const properties: Record<string, FieldMapping> = {}
  for (const [field, mapping] of Object.entries(propertiesOf(fields, children))) {
    properties[field] = overlay(mapping, mappings[field] ?? {})
  }
  if (stamped) addStamp(properties)
  for (const [field, mapping] of Object.entries(mappings)) {
    if (Object.hasOwn(properties, field)) continue
    checkName(field)
    if (others === 'any' || others.includes(field)) properties[field] = mapping
    else
      throw new Failure('configuration', `mappings names ${field}, which the documents do not have`, {
        remedy: `the fields are ${[...Object.keys(properties), ...others].join(', ')}`,
      })
  }
  return { settings: { ...defaultSettings, ...flatten(settings, '') }, properties }
}

function addStamp(properties: Record<string, FieldMapping>): void {
  if (Object.hasOwn(properties, stampField))
    throw new Failure('configuration', `metadata is asked for, but a column is called ${stampField}, too`, {
      remedy: `give the column another name in the document: fields: {…: ${stampField}}`,
    })
  properties[stampField] = stampMapping
}

function propertiesOf(
  fields: readonly IndexField[],
  children: readonly IndexChild[],
): Record<string, FieldMapping> {
  const properties: Record<string, FieldMapping> = {}
  for (const { field, column, form } of fields) {
    checkName(field)
    properties[field] = mappingOf(column, form)
  }
  for (const child of children) {
    checkName(child.field)
    properties[child.field] = childMappingOf(child)
  }
  return properties
}

function childMappingOf({ mapping, fields, children }: IndexChild): FieldMapping {
  if (mapping === 'flattened') return { type: 'flattened' }
  const properties = propertiesOf(fields, children)
  return mapping === 'nested' ? { type: 'nested', properties } : { properties }
}

export const deletesRemembered = 'index.gc_deletes'

const defaultSettings = {
  'index.number_of_shards': 1,
  'index.number_of_replicas': 1,
  // How long a deleted document's version is remembered, against requests that arrive late.
  [deletesRemembered]: '10m',
}

/** The body that creates the index. Fields beyond the mapping are stored, but neither indexed nor refused. */
export function creationOf(definition: IndexDefinition, alias: string, mark: IndexMark): string {
  const mappings = { dynamic: false, _meta: { millrace: mark }, properties: definition.properties }
  return JSON.stringify({ settings: definition.settings, mappings, aliases: { [alias]: {} } })
}

/** The body of a template for the indexes of a family. */
export function templateOf(
  definition: IndexDefinition,
  { alias, pattern, mark }: { readonly alias: string; readonly pattern: string; readonly mark: IndexMark },
): string {
  const template: unknown = JSON.parse(creationOf(definition, alias, mark))
  return JSON.stringify({ index_patterns: [pattern], priority: templatePriority, template })
}

/** Above what others usually give to patterns that are as wide. */
const templatePriority = 500

/**
 * The definition for a server without a field type; undefined = no other type will do, or the pipeline file asks for this
 * one. Some distributions lack the types that are not in the core.
 */
export function withoutType(
  definition: IndexDefinition,
  type: string,
  typed: ReadonlySet<string>,
): IndexDefinition | undefined {
  const next = nextBest[type]
  if (next === undefined) return undefined
  const other = (mapping: FieldMapping, path: string): FieldMapping =>
    mapping['type'] === type && !typed.has(path) ? next : mapping
  const properties = eachField(definition.properties, other)
  return isDeepStrictEqual(properties, definition.properties) ? undefined : { ...definition, properties }
}

/** The fields whose type a pipeline file names, by path: there no other type will do. */
export function typedFields(mappings: IndexWishes['mappings']): ReadonlySet<string> {
  const typed = new Set<string>()
  eachField(mappings, (mapping, path) => {
    if (mapping['type'] !== undefined) typed.add(path)
    return mapping
  })
  return typed
}

/** `change` gets each field with its path, such as `lines.price`, also those of objects. */
function eachField(
  properties: IndexDefinition['properties'],
  change: (mapping: FieldMapping, path: string) => FieldMapping,
  prefix = '',
): IndexDefinition['properties'] {
  const changed = Object.entries(properties).map(([field, mapping]) => {
    const path = `${prefix}${field}`
    const own = change(mapping, path)
    return [field, isTree(own) ? { ...own, properties: eachField(own.properties, change, `${path}.`) } : own]
  })
  return Object.fromEntries(changed) as IndexDefinition['properties']
}

/** The mapping of objects with fields of their own. */
export function isTree(
  mapping: FieldMapping,
): mapping is FieldMapping & { readonly properties: IndexDefinition['properties'] } {
  return typeof mapping['properties'] === 'object'
}

/** Searches get the nearest double; the document keeps every digit. What flattens objects has two names. */
const nextBest: Readonly<Record<string, FieldMapping>> = {
  unsigned_long: { type: 'double' },
  flattened: { type: 'flat_object' },
}

/** The field type that holds every value of a column, and what a searcher expects of it. */
export function mappingOf(column: Column, form?: string): FieldMapping {
  const ofForm = form === undefined ? undefined : formMappers[form]?.(column)
  return ofForm ?? mappers[column.kind](column)
}

const mappers: Readonly<Record<ColumnKind, (column: Column) => FieldMapping>> = {
  integer: ({ length, unsigned }) => ({ type: integerType((length ?? 8) * 8 - (unsigned === true ? 0 : 1)) }),
  // Found and sorted as the nearest double; the document keeps every digit.
  decimal: () => ({ type: 'double' }),
  float: () => ({ type: 'float' }),
  double: () => ({ type: 'double' }),
  bit: ({ length }) => ({ type: integerType(length ?? 64) }),
  year: () => ({ type: 'short' }),
  date: () => date,
  datetime: () => date,
  timestamp: () => date,
  // Beyond 24 hours and below zero: no date type holds it.
  time: () => keyword,
  // Of a digest nobody searches a part.
  string: ({ mask }) =>
    mask?.startsWith('hash:') === true ? keyword : { type: 'text', fields: { keyword } },
  text: () => ({ type: 'text' }),
  enum: () => keyword,
  set: () => keyword,
  binary: () => keyword,
  blob: () => ({ type: 'binary' }),
  // Whatever its shape, two rows can never contradict each other; `object` or `flattened` makes it searchable.
  json: () => stored,
  geometry: () => stored,
  vector: () => stored,
  uuid: () => keyword,
  address: () => ({ type: 'ip' }),
}

/** Forms that ask for another field type than the column itself; undefined = that of the column. */
const formMappers: Readonly<Record<string, (column: Column) => FieldMapping | undefined>> = {
  boolean: () => ({ type: 'boolean' }),
  epoch_millis: () => ({ type: 'date', format: 'epoch_millis' }),
  epoch_second: () => ({ type: 'date', format: 'epoch_second' }),
  hex: () => keyword,
  json: () => stored,
  number: ({ kind }) => labelNumberMappings[kind],
  // 18 digits are within 63 bits.
  scaled: ({ precision = 0 }) => ({ type: precision > 18 ? 'double' : 'long' }),
  seconds: () => ({ type: 'double' }),
  string: ({ kind }) => stringMapping(kind),
  uuid: () => keyword,
  wkb: () => ({ type: 'binary' }),
  wkt: () => keyword,
}

/** Of labels there may be more one day: 65,535 of an ENUM, 64 of a SET. */
const labelNumberMappings: Readonly<Partial<Record<ColumnKind, FieldMapping>>> = {
  enum: { type: 'integer' },
  set: { type: 'unsigned_long' },
}

function stringMapping(kind: ColumnKind): FieldMapping | undefined {
  if (numericKinds.has(kind)) return keyword
  return kind === 'json' ? { type: 'text' } : undefined
}

const numericKinds: ReadonlySet<ColumnKind> = new Set(['integer', 'bit', 'year', 'float', 'double', 'vector'])

// A term has at most 32766 bytes and a character at most 4 of them.
const keyword: FieldMapping = { type: 'keyword', ignore_above: 8191 }
const date: FieldMapping = { type: 'date', format: 'strict_date_optional_time' }
const stored: FieldMapping = { type: 'object', enabled: false }

/** A version is a text in the document, because programs round numbers of its size; the index sorts it as a number. */
const stampMapping: FieldMapping = {
  properties: Object.fromEntries(
    Object.entries(stampMembers).map(([name, kind]) => [
      name,
      { number: { type: 'long' }, time: date, word: { type: 'keyword' } }[kind],
    ]),
  ),
}

/** The narrowest type that holds integers of so many bits, the sign not counted. */
function integerType(bits: number): string {
  if (bits <= 7) return 'byte'
  if (bits <= 15) return 'short'
  if (bits <= 31) return 'integer'
  return bits <= 63 ? 'long' : 'unsigned_long'
}

function checkName(field: string): void {
  if (metadataFields.has(field))
    throw new Failure(
      'configuration',
      `no document can have a field named ${field}: the search server uses it`,
      {
        remedy: `give the column another name in the document: fields: {…: ${field}}`,
      },
    )
  if (field.includes('.') || field.trim() === '')
    throw new Failure('configuration', `${JSON.stringify(field)} cannot be the name of a document field`, {
      remedy: 'give the column a name without dots under fields',
    })
}

const metadataFields = new Set(
  ['id', 'index', 'source', 'type', 'routing', 'version', 'field_names', 'ignored', 'seq_no', 'primary_term']
    .concat([
      'size',
      'doc_count',
      'nested_path',
      'tier',
      'feature',
      'data_stream_timestamp',
      'tsid',
      'inference_fields',
    ])
    .map((name) => `_${name}`),
)

/** A mapping with another laid over it; parameters of one type mean nothing to another, so a new type begins anew. */
function overlay(under: FieldMapping, over: FieldMapping): FieldMapping {
  if (over['type'] !== undefined && over['type'] !== under['type']) return over
  const merged: Record<string, unknown> = { ...under }
  for (const [name, value] of Object.entries(over)) {
    const below = merged[name]
    merged[name] = isObject(below) && isObject(value) ? overlay(below, value) : value
  }
  return merged
}

/** Settings by their full names. */
function flatten(settings: Readonly<Record<string, unknown>>, prefix: string): Record<string, unknown> {
  const flat: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(settings)) {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (isObject(value)) Object.assign(flat, flatten(value, path))
    else flat[path === 'index' || path.startsWith('index.') ? path : `index.${path}`] = value
  }
  return flat
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
