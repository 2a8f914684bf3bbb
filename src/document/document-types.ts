/** The TypeScript type of a pipeline's documents as they come to its transform. Pure. */
import type { Column, ColumnKind } from '../change/change.ts'
import type { Form } from './definition.ts'

export interface TypedField {
  readonly field: string
  /** undefined = it comes from elsewhere, and nobody knows what it is. */
  readonly column: Column | undefined
  readonly form: Form | undefined
}

/** Rows of another table, as the documents show them: one as an object or null, many as an array. */
export interface TypedChild {
  readonly field: string
  readonly table: string
  readonly kind: 'one' | 'many'
  readonly fields: readonly (TypedField | TypedChild)[]
}

/** What stands once above the types of all pipelines. */
export const typesHead = `/** Made by "millrace types" from the live tables: make it anew when they change. */

/** A number that JavaScript would round: its text, which can be passed on. */
export interface RawNumber {
  readonly rawJSON: string
}
`

/** One interface; its name follows from the pipeline's: `order-lines` makes `OrderLinesDocument`. */
export function documentType(
  pipeline: string,
  table: string,
  fields: readonly (TypedField | TypedChild)[],
): string {
  const name = pipeline.replace(/(^|[-_])([a-z0-9])/g, (_match, _before, letter: string) =>
    letter.toUpperCase(),
  )
  return `/** A document of the pipeline ${pipeline}, from ${table}. */
export interface ${/^\d/.test(name) ? '_' : ''}${name}Document {
${membersOf(fields, '  ')}}
`
}

function membersOf(fields: readonly (TypedField | TypedChild)[], indent: string): string {
  const lines = fields.map((each) => {
    const { field } = each
    const member = /^[A-Za-z_$][\w$]*$/.test(field) ? field : JSON.stringify(field)
    const doc = 'fields' in each ? each.table : (each.column?.type ?? 'from elsewhere')
    const type = 'fields' in each ? childType(each, indent) : typeOf(each.column, each.form)
    return `${indent}/** ${doc.replaceAll('*/', '* /')} */\n${indent}readonly ${member}: ${type}\n`
  })
  return lines.join('')
}

function childType({ kind, fields }: TypedChild, indent: string): string {
  const object = `{\n${membersOf(fields, `${indent}  `)}${indent}}`
  return kind === 'one' ? `${object} | null` : `readonly ${object}[]`
}

function typeOf(column: Column | undefined, form: Form | undefined): string {
  if (column === undefined) return 'unknown'
  const type = form === undefined ? ownType(column) : formTypes[form]
  const isDated = datedKinds.has(column.kind)
  // A zero date is null in a document, whatever the column says.
  return type !== 'unknown' && (column.nullable || isDated) ? `${type} | null` : type
}

function ownType({ kind, length = 0 }: Column): string {
  if (kind === 'integer') return length >= wideBytes ? 'number | bigint' : 'number'
  if (kind === 'bit') return length > safeBits ? 'number | bigint' : 'number'
  return typesByKind[kind] ?? 'string'
}

const typesByKind: Readonly<Partial<Record<ColumnKind, string>>> = {
  float: 'number',
  double: 'number',
  year: 'number',
  set: 'readonly string[]',
  vector: 'readonly number[]',
  json: 'unknown',
  geometry: 'unknown',
}

const wideBytes = 8
const safeBits = 53

const formTypes: Readonly<Record<Form, string>> = {
  array: 'readonly string[]',
  base64: 'string',
  boolean: 'boolean',
  epoch_millis: 'number | RawNumber',
  epoch_second: 'number | RawNumber',
  geojson: 'unknown',
  hex: 'string',
  json: 'unknown',
  number: 'number | bigint | RawNumber',
  scaled: 'number | bigint',
  seconds: 'number',
  string: 'string',
  uuid: 'string',
  wkb: 'string',
  wkt: 'string',
}

const datedKinds: ReadonlySet<string> = new Set(['date', 'datetime', 'timestamp'])
