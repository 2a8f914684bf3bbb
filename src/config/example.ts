/** The files that follow from the schemas: an example of every setting, and JSON Schemas for editors. */
import { isFilledByDefaults, type SchemaNode } from './conform.ts'
import { pipelineSchema } from './pipeline-schema.ts'
import { settingsSchema } from './schema.ts'
import { yamlScalar } from './yaml.ts'

/** Names in the folder `config` and their content. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return {
    'millrace.yaml': settingsExample(),
    'millrace.schema.json': editorSchema(settingsSchema),
    'pipeline.schema.json': editorSchema(pipelineSchema),
  }
}

/** Every setting with its doc and default; connected to two servers that the environment names. */
function settingsExample(): string {
  return `${header}${lines(settingsSchema, [], '').join('\n')}\n`
}

const header = `# yaml-language-server: $schema=./millrace.schema.json
#
# Every setting of millrace. What is commented out shows its default.
# A setting can also come from the environment (log.segmentMb: MILLRACE_LOG_SEGMENT_MB) or from the command line
# (--set log.segmentMb=64). In any text, here and in pipeline files, \${NAME} is an environment variable, \${NAME:-other}
# the same with a default, \${file:/path} what a file contains (for secrets), and $$ a dollar sign.

`

const active: Readonly<Record<string, string>> = {
  'sources.main.url': '${MYSQL_URL}',
  'targets.primary.url': '${ELASTICSEARCH_URL}',
  'alerts.channels.people.webhook': 'https://chat.example/hook',
}
const names: Readonly<Record<string, string>> = { sources: 'main', targets: 'primary', channels: 'people' }

/** `mark` goes before what is only shown: nothing inside a group that is commented out as a whole. */
function lines(schema: SchemaNode, path: readonly string[], indent: string, mark = '# '): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, node], index) => {
    const doc =
      node.description === undefined || node.description === '' ? [] : [`${indent}# ${node.description}`]
    const gap = path.length === 0 && index > 0 ? [''] : []
    return [...gap, ...doc, ...member(node, [...path, key], indent, mark)]
  })
}

function member(node: SchemaNode, path: readonly string[], indent: string, mark: string): readonly string[] {
  const key = path.at(-1) ?? ''
  const [entry] = Object.values(node.patternProperties ?? {})
  if (entry !== undefined) {
    const isInner = path.length > 1
    if (isInner && names[key] === undefined) return [`${indent}${mark}${key}: {}`]
    const name = names[key] ?? 'main'
    const isActive = Object.keys(active).some((each) => each.startsWith(`${[...path, name].join('.')}.`))
    if (!isActive)
      return commentedOut(indent, mark, [
        `${key}:`,
        `  ${name}:`,
        ...lines(entry, [...path, name], '    ', ''),
      ])
    const inner = lines(entry, [...path, name], `${indent}    `, isInner ? mark : undefined)
    return [`${indent}${key}:`, `${indent}  ${name}:`, ...inner]
  }
  if (node.properties !== undefined) {
    return commentedOut(indent, mark, [`${key}:`, ...lines(node, path, '  ', '')])
  }
  const value = active[path.join('.')]
  if (value !== undefined) return [`${indent}${key}: ${value}`]
  return [`${indent}${mark}${key}:${node.default === undefined ? '' : ` ${yamlScalar(node.default)}`}`]
}

function commentedOut(indent: string, mark: string, block: readonly string[]): readonly string[] {
  return block.map((line) => `${indent}${mark}${line}`)
}

function editorSchema(schema: SchemaNode): string {
  return `${JSON.stringify({ $schema: 'http://json-schema.org/draft-07/schema#', ...forEditors(schema) }, undefined, 2)}\n`
}

/** What has a default need not be written, and a reference may stand for any scalar. */
function forEditors(node: SchemaNode): SchemaNode {
  const { type, pattern, items } = node
  if (type === 'object') return groupForEditors(node)
  if (type === 'number' || type === 'integer' || type === 'boolean') {
    const { description, default: preset, ...rest } = node
    return { ...withText(description, preset), anyOf: [rest, { type: 'string', pattern: '^\\$\\{.*\\}$' }] }
  }
  if (type === 'array' && items !== undefined) {
    const anyOf = [{ type, items: forEditors(items) }, forEditors(items)]
    return { ...withText(node.description, node.default), anyOf }
  }
  return pattern === undefined ? node : { ...node, pattern: `(${pattern})|\\$\\{` }
}

function groupForEditors(node: SchemaNode): SchemaNode {
  const { properties, patternProperties } = node
  const required = (node.required ?? []).filter((key) => !isFilledByDefaults(properties?.[key] ?? {}))
  return {
    ...node,
    ...(properties === undefined ? {} : { properties: mapValues(properties, forEditors) }),
    ...(patternProperties === undefined
      ? {}
      : { patternProperties: mapValues(patternProperties, forEditors) }),
    required,
  }
}

function withText(description: string | undefined, preset: unknown): SchemaNode {
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
  }
}

function mapValues<T, R>(values: Readonly<Record<string, T>>, change: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]))
}
