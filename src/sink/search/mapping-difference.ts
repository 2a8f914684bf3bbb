/** What keeps an existing mapping from holding the documents. Pure. */
import { isTree, type FieldMapping } from './index-definition.ts'

export interface ExistingMapping {
  readonly properties?: Readonly<Record<string, FieldMapping>>
  readonly _source?: { readonly enabled?: boolean; readonly includes?: unknown; readonly excludes?: unknown }
  readonly _routing?: { readonly required?: boolean }
}

export interface MappingDifference {
  /** Fields that the mapping lacks and that can be put. */
  readonly missing: Readonly<Record<string, FieldMapping>>
  /** One sentence for each thing that cannot be mended by putting. */
  readonly sentences: readonly string[]
}

/** `typed` are the paths of fields whose type the pipeline file names: there no other type will do. */
export function compareMappings(
  found: ExistingMapping,
  wanted: Readonly<Record<string, FieldMapping>>,
  typed: ReadonlySet<string>,
): MappingDifference {
  const { missing, sentences } = compareFields(found.properties, wanted, typed, '')
  return { missing, sentences: [...wholeMapping(found), ...sentences] }
}

/** `path` is that of the object that has the fields, with a dot behind it. */
function compareFields(
  found: ExistingMapping['properties'],
  wanted: Readonly<Record<string, FieldMapping>>,
  typed: ReadonlySet<string>,
  path: string,
): MappingDifference {
  const missing: Record<string, FieldMapping> = {}
  const sentences: string[] = []
  for (const [field, mapping] of Object.entries(wanted)) {
    const existing = found?.[field]
    const name = `${path}${field}`
    if (existing === undefined) missing[field] = mapping
    else if (isTree(mapping) && isTree(existing) && typeOf(existing) === typeOf(mapping)) {
      const inner = compareFields(existing.properties, mapping.properties, typed, `${name}.`)
      sentences.push(...inner.sentences)
      if (Object.keys(inner.missing).length > 0) missing[field] = { ...mapping, properties: inner.missing }
    } else if (!(typed.has(name) ? sameType(existing, mapping) : holds(existing, mapping)))
      sentences.push(
        `field ${name} is ${nameOf(existing)} in the index, but its values need ${nameOf(mapping)}: ` +
          `write to a new index, or say mappings: {${asYaml(name, nameOf(existing))}} if that type holds them`,
      )
  }
  return { missing, sentences }
}

/** How a pipeline file gives a field a type. */
function asYaml(path: string, type: string): string {
  return `${path.replaceAll('.', ': {properties: {')}: {type: ${type}}${'}}'.repeat(path.split('.').length - 1)}`
}

function wholeMapping({ _source: source, _routing: routing }: ExistingMapping): string[] {
  const sentences: string[] = []
  if (source?.enabled === false || filtered(source?.includes) || filtered(source?.excludes))
    sentences.push(
      'the index does not keep whole documents (_source), so that they cannot be compared with the table: write to a new index',
    )
  if (routing?.required === true)
    sentences.push('the index demands a routing, and the documents have none: write to a new index')
  return sentences
}

function filtered(patterns: unknown): boolean {
  return Array.isArray(patterns) && patterns.length > 0
}

/** An object field has no type of its own in what the server tells. */
function typeOf(mapping: FieldMapping): string {
  return typeof mapping['type'] === 'string' ? mapping['type'] : 'object'
}

function nameOf(mapping: FieldMapping): string {
  const type = typeOf(mapping)
  const format = mapping['format']
  if (type === 'object') return mapping['enabled'] === false ? 'object (not enabled)' : 'object'
  return type === 'date' && typeof format === 'string' ? `date (${format})` : type
}

function sameType(existing: FieldMapping, wanted: FieldMapping): boolean {
  return typeOf(existing) === typeOf(wanted) && (typeOf(wanted) !== 'date' || readsDates(existing, wanted))
}

/** Whether every value that the wanted mapping takes is taken by the existing one too. */
function holds(existing: FieldMapping, wanted: FieldMapping): boolean {
  const [found, needed] = [typeOf(existing), typeOf(wanted)]
  if (found === 'object') return needed === 'object' && existing['enabled'] === false
  if (needed === 'object') return false
  if (needed === 'date' && (found === 'date' || found === 'date_nanos')) return readsDates(existing, wanted)
  return found === needed || takesText.has(found) || (widerThan[needed]?.includes(found) ?? false)
}

/** Types that index any scalar by its text. */
const takesText = new Set(['keyword', 'text', 'wildcard', 'match_only_text', 'search_as_you_type'])

const fractions = ['float', 'double', 'scaled_float']

/** Types that hold all the values of another. */
const widerThan: Readonly<Record<string, readonly string[]>> = {
  byte: ['short', 'integer', 'long', 'half_float', ...fractions],
  short: ['integer', 'long', ...fractions],
  integer: ['long', ...fractions],
  long: fractions,
  unsigned_long: fractions,
  float: ['double', 'scaled_float'],
  double: ['float', 'scaled_float'],
  scaled_float: ['float', 'double'],
}

/** Whether dates in every format that is wanted are read. */
function readsDates(existing: FieldMapping, wanted: FieldMapping): boolean {
  const read = formatsOf(existing) ?? [usualFormat, 'epoch_millis']
  const readsIso = read.some((each) => isoFormats.has(each))
  const needed = formatsOf(wanted) ?? [usualFormat]
  return needed.every((each) => read.includes(each) || (readsIso && isoFormats.has(each)))
}

function formatsOf({ format }: FieldMapping): readonly string[] | undefined {
  return typeof format === 'string' ? format.split('||') : undefined
}

const usualFormat = 'strict_date_optional_time'

const isoFormats = new Set([usualFormat, 'date_optional_time', 'strict_date_optional_time_nanos', 'iso8601'])
