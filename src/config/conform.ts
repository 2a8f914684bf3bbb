/** Holds a value against a schema and says, for people, everything in which it differs. */
import { nearest } from './problems.ts'

/** The part of JSON Schema that our schemas use. */
export interface SchemaNode {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: unknown
  readonly minProperties?: number
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly minItems?: number
  readonly anyOf?: readonly SchemaNode[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  /** A secret: never shown. */
  readonly writeOnly?: boolean
}

export interface Complaint {
  readonly path: readonly string[]
  readonly found: string
  readonly expected?: string
  readonly suggestion?: string | undefined
}

/** Everything that is wrong; a property with a default, or a group of such, may be missing. */
export function conform(
  schema: SchemaNode,
  value: unknown,
  path: readonly string[] = [],
): readonly Complaint[] {
  if (schema.anyOf !== undefined) return conformToAny(schema.anyOf, value, path)
  if (isMapping(value) && schema.type === 'object') return conformMapping(schema, value, path)
  if (Array.isArray(value) && schema.type === 'array') return conformList(schema, value, path)
  if (fits(schema, value)) return []
  return [{ path, found: `found ${show(schema, value)}`, expected: describe(schema) }]
}

/** The node that governs a path; undefined = there is none. */
export function nodeAt(schema: SchemaNode, path: readonly string[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema
  for (const key of path) node = node === undefined ? undefined : childOf(node, key)
  return node
}

/** Text as the kind of value the schema asks for, where that is plain; the text itself otherwise. */
export function coerce(schema: SchemaNode | undefined, text: string): unknown {
  const kind = schema?.type
  if ((kind === 'number' || kind === 'integer') && /^\s*-?\d+(\.\d+)?\s*$/.test(text)) return Number(text)
  if (kind === 'boolean' && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  if (kind === 'array') {
    const parts = text.split(',').map((part) => part.trim())
    return parts.filter((part) => part !== '')
  }
  return text
}

/** What a schema asks for, in words. */
export function describe(schema: SchemaNode): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(describe).join(' or ')
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.type === 'integer') return `a whole number${bounds(schema)}`
  if (schema.type === 'number') return `a number${bounds(schema)}`
  if (schema.type === 'boolean') return 'true or false'
  if (schema.type === 'array') return 'a list'
  return schema.type === 'object' ? 'a mapping' : describeText(schema)
}

function describeText(schema: SchemaNode): string {
  if (schema.examples !== undefined) return `text such as ${schema.examples.join(' or ')}`
  return schema.pattern === undefined ? 'text' : `text that matches ${schema.pattern}`
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function conformMapping(
  schema: SchemaNode,
  value: Readonly<Record<string, unknown>>,
  path: readonly string[],
): readonly Complaint[] {
  const complaints: Complaint[] = []
  for (const [key, member] of Object.entries(value)) {
    const node = childOf(schema, key)
    if (node === undefined) complaints.push(unknownKey(schema, key, path))
    else complaints.push(...conform(node, member, [...path, key]))
  }
  for (const key of schema.required ?? []) {
    const node = childOf(schema, key)
    if (key in value || node === undefined || isFilledByDefaults(node)) continue
    complaints.push({ path: [...path, key], found: 'is missing', expected: describe(node) })
  }
  if (Object.keys(value).length < (schema.minProperties ?? 0)) {
    complaints.push({ path, found: 'is empty' })
  }
  return complaints
}

function conformList(
  schema: SchemaNode,
  value: readonly unknown[],
  path: readonly string[],
): readonly Complaint[] {
  const items = schema.items ?? {}
  const complaints = value.flatMap((item, index) => conform(items, item, [...path, String(index)]))
  if (value.length < (schema.minItems ?? 0))
    complaints.push({ path, found: 'is empty', expected: describe(schema) })
  return schema.writeOnly === true
    ? complaints.map((complaint) => ({ ...complaint, found: hidden }))
    : complaints
}

function conformToAny(
  branches: readonly SchemaNode[],
  value: unknown,
  path: readonly string[],
): readonly Complaint[] {
  const answers = branches.map((branch) => conform(branch, value, path))
  if (answers.some((complaints) => complaints.length === 0)) return []
  const near = branches.findIndex((branch) => branch.type === 'object')
  if (isMapping(value) && near >= 0) return answers[near] ?? []
  return [{ path, found: `found ${show({}, value)}`, expected: describe({ anyOf: branches }) }]
}

function unknownKey(schema: SchemaNode, key: string, path: readonly string[]): Complaint {
  const patterns = Object.keys(schema.patternProperties ?? {})
  if (patterns.length > 0) {
    return {
      path: [...path, key],
      found: 'is not a name that can be used',
      expected: `a name that matches ${patterns.join(' or ')}`,
    }
  }
  const known = Object.keys(schema.properties ?? {})
  const suggestion = nearest(key, known)
  const complaint = { path: [...path, key], found: 'is not known here' }
  return suggestion === undefined
    ? { ...complaint, expected: `one of ${known.join(', ')}` }
    : { ...complaint, suggestion }
}

function childOf(schema: SchemaNode, key: string): SchemaNode | undefined {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, key)) return schema.properties[key]
  for (const [pattern, node] of Object.entries(schema.patternProperties ?? {})) {
    if (new RegExp(pattern).test(key)) return node
  }
  if (schema.type === 'array') return schema.items
  return undefined
}

/** Whether nothing needs to be written for this: it has a default, or is a group of such. */
export function isFilledByDefaults(schema: SchemaNode): boolean {
  if (schema.default !== undefined) return true
  if (schema.properties === undefined) return false
  return (schema.required ?? []).every((key) => isFilledByDefaults(schema.properties?.[key] ?? {}))
}

function fits(schema: SchemaNode, value: unknown): boolean {
  if (schema.enum !== undefined) return schema.enum.includes(value)
  if (schema.const !== undefined) return schema.const === value
  if (schema.type === undefined) return true
  if (typeof value === 'number') return fitsNumber(schema, value)
  if (typeof value === 'bigint') return schema.type === 'number' || schema.type === 'integer'
  if (typeof value === 'string') return schema.type === 'string' && fitsText(schema, value)
  return typeof value === 'boolean' && schema.type === 'boolean'
}

function fitsNumber(schema: SchemaNode, value: number): boolean {
  if (schema.type === 'integer' ? !Number.isSafeInteger(value) : schema.type !== 'number') return false
  if (!Number.isFinite(value)) return false
  return value >= (schema.minimum ?? value) && value <= (schema.maximum ?? value)
}

function fitsText(schema: SchemaNode, value: string): boolean {
  if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? value.length))
    return false
  return schema.pattern === undefined || new RegExp(schema.pattern).test(value)
}

function bounds(schema: SchemaNode): string {
  if (schema.minimum === undefined || schema.maximum === undefined) return ''
  return ` from ${schema.minimum} to ${schema.maximum}`
}

const hidden = 'has a value that does not fit (it is a secret and not shown)'

function show(schema: SchemaNode, value: unknown): string {
  if (schema.writeOnly === true) return 'a value that does not fit (it is a secret and not shown)'
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  const text = typeof value === 'bigint' ? `${value}` : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
