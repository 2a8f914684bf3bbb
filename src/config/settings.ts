/** Process settings from their four places: defaults, file, environment, arguments; the later wins. */
import convict from 'convict'
import { coerce, conform, type SchemaNode } from './conform.ts'
import type { Frozen } from './schema-words.ts'
import { settingsSchema, type Settings } from './schema.ts'

/** Values by path, `log.segmentMb`, as text. */
export type Texts = ReadonlyMap<string, string>

export interface Places {
  /** The file's content, checked, with references resolved. */
  readonly file: Tree
  readonly environment: Texts
  readonly overrides: Texts
}

export type Tree = Readonly<Record<string, unknown>>

/** All places laid over each other; what has no value anywhere is missing in the answer. */
export function mergeSettings(places: Places): Tree {
  registerFormats()
  return freeze(mergeGroup(settingsSchema, '', places.file, places))
}

/** The same, checked and frozen. The problems that a person can cause are told beforehand, with their places. */
export function finishSettings(merged: Tree): Settings {
  registerFormats()
  const config = convict<Tree>(convictSchema(settingsSchema, ''), { env: {}, args: [] })
  for (const [path, value] of byPath(settingsSchema, merged)) config.set(path, value)
  return freeze(config.validate({ allowed: 'strict' }).getProperties()) as Settings
}

/** By path; one at a time, because a group that is set as a whole loses its optional members, which then count as missing. */
function byPath(schema: SchemaNode, tree: Tree, prefix = ''): readonly (readonly [string, unknown])[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const node = schema.properties?.[key]
    return node?.properties === undefined
      ? [[prefix + key, value] as const]
      : byPath(node, value as Tree, `${prefix}${key}.`)
  })
}

/** A plain value that nothing can change, without undefined members. */
export function freeze<T>(value: T): Frozen<T> {
  if (typeof value !== 'object' || value === null) return value as Frozen<T>
  if (Array.isArray(value)) return Object.freeze(value.map(freeze)) as Frozen<T>
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.freeze(Object.fromEntries(members.map(([key, member]) => [key, freeze(member)]))) as Frozen<T>
}

export interface Leaf {
  /** `['sources', '*', 'url']`: a star stands for a name. */
  readonly path: readonly string[]
  readonly node: SchemaNode
}

/** Every setting. */
export function leaves(schema: SchemaNode = settingsSchema, path: readonly string[] = []): readonly Leaf[] {
  const named = Object.values(schema.patternProperties ?? {}).map((node): [string, SchemaNode] => ['*', node])
  const members = [...Object.entries(schema.properties ?? {}), ...named]
  if (members.length === 0) return [{ path, node: schema }]
  return members.flatMap(([key, node]) => leaves(node, [...path, key]))
}

/** The environment variable of a setting: `log.segmentMb` is `MILLRACE_LOG_SEGMENT_MB`. */
export function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replaceAll(/([a-z])([A-Z])/g, '$1_$2').toUpperCase())
  return ['MILLRACE', ...words].join('_')
}

/** What the environment says: `MILLRACE_SOURCES_MAIN_URL` is `sources.main.url`. */
export function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Texts {
  const texts = new Map<string, string>()
  const patterns = leaves().map(({ path }) => ({ path, pattern: variablePattern(path) }))
  // The longest first: ..._TLS_KEY is the key of `tls`, not of a name that ends in TLS.
  patterns.sort((a, b) => b.path.length - a.path.length)
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith('MILLRACE_')) continue
    for (const { path, pattern } of patterns) {
      const match = pattern.exec(variable)
      if (match === null) continue
      texts.set(path.map((key) => (key === '*' ? (match[1] ?? '').toLowerCase() : key)).join('.'), text)
      break
    }
  }
  return texts
}

function variablePattern(path: readonly string[]): RegExp {
  return new RegExp(`^${variableOf(path).replace('*', '([A-Z][A-Z0-9_]*?)')}$`)
}

/** One convict for each group whose keys are known; named entries (sources, targets) are groups of their own. */
function mergeGroup(schema: SchemaNode, prefix: string, file: Tree, places: Places): Tree {
  const config = convict<Tree>(convictSchema(schema, prefix), {
    env: variables(places.environment),
    args: [],
  })
  const maps = Object.entries(schema.properties ?? {}).filter(
    ([, node]) => node.patternProperties !== undefined,
  )
  const isMap = (key: string) => maps.some(([name]) => name === key)
  config.load(Object.fromEntries(Object.entries(file).filter(([key]) => !isMap(key))))
  for (const { path } of leaves(schema)) {
    const text = places.overrides.get(prefix + path.join('.'))
    if (text !== undefined) config.set(path.join('.'), text)
  }
  for (const [name, node] of maps) {
    config.set(name, mergeEntries(node, `${prefix}${name}.`, (file[name] ?? {}) as Tree, places))
  }
  return config.getProperties()
}

function mergeEntries(map: SchemaNode, prefix: string, file: Tree, places: Places): Tree {
  const [schema] = Object.values(map.patternProperties ?? {})
  const given = [...places.environment.keys(), ...places.overrides.keys()].filter((path) =>
    path.startsWith(prefix),
  )
  const names = given.map((path) => path.slice(prefix.length).split('.')[0] ?? '')
  const merged: Record<string, unknown> = {}
  for (const name of new Set([...Object.keys(file), ...names])) {
    merged[name] = mergeGroup(schema ?? {}, `${prefix}${name}.`, (file[name] ?? {}) as Tree, places)
  }
  return merged
}

function convictSchema(schema: SchemaNode, prefix: string): convict.Schema<Tree> {
  const nodes = Object.entries(schema.properties ?? {}).map(([key, node]): [string, object] => {
    const doc = node.description
    if (node.patternProperties !== undefined) return [key, { default: {}, format: 'object', doc }]
    if (node.properties !== undefined) return [key, convictSchema(node, `${prefix}${key}.`)]
    const env = variableOf([...prefix.split('.').filter((word) => word !== ''), key])
    const sensitive = node.writeOnly === true
    return [key, { default: node.default, doc, format: formatOf(node), env, sensitive, schema: node }]
  })
  return Object.fromEntries(nodes)
}

function variables(texts: Texts): Record<string, string> {
  return Object.fromEntries([...texts].map(([path, text]) => [variableOf(path.split('.')), text]))
}

function formatOf(node: SchemaNode): string {
  return `setting ${node.type ?? 'string'}`
}

let registered = false

/** convict keeps its formats in the module: one for each kind of value, checked by the setting's own schema. */
function registerFormats(): void {
  if (registered) return
  registered = true
  convict.addFormat({ name: 'object', validate: (value: unknown) => assertEntries(value) })
  for (const type of ['string', 'number', 'integer', 'boolean', 'array']) {
    convict.addFormat({
      name: formatOf({ type }),
      coerce: (text: unknown) => (typeof text === 'string' ? coerce({ type }, text) : text),
      validate(value: unknown, setting: convict.SchemaObj) {
        const [complaint] = conform((setting as { schema?: SchemaNode }).schema ?? {}, value)
        if (complaint !== undefined) throw new Error(`expected ${complaint.expected ?? complaint.found}`)
      },
    })
  }
}

function assertEntries(value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new Error('expected a mapping')
}
