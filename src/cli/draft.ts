/** The first text of a pipeline file, from a live table. */
import type { Column, Table } from '../change/change.ts'
import { indexNameFault } from '../config/pipeline.ts'
import { yamlScalar } from '../config/yaml.ts'
import { showCount } from './format.ts'

export interface Draft {
  readonly source: string
  readonly table: Table
  readonly rowsEstimate: number
  /** By column. */
  readonly mappings: Readonly<Record<string, unknown>>
}

export function pipelineDraft({ source, table, rowsEstimate, mappings }: Draft): string {
  const keys = table.key.map((index) => table.columns[index]?.name ?? '')
  const fields = table.columns.map((column) => fieldLine(column, keys, mappings[column.name]))
  const width = Math.max(...fields.map(([field]) => field.length))
  return `# yaml-language-server: $schema=../pipeline.schema.json
#
# ${table.name}, about ${showCount(rowsEstimate)} rows. ${keyNote(keys)}
source: ${yamlScalar(source)}
table: ${yamlScalar(table.name)}

# Document field: column. Take out what no search needs; rename what deserves a better name.
fields:
${fields.map(([field, note]) => `  ${field.padEnd(width)}  # ${note}`).join('\n')}

# Only rows that match have documents.
# where:
#   status: active
#   deleted_at: { isNull: true }

target:
  index: ${yamlScalar(indexName(table.name))}
  # Settings of the index that is made.
  # settings:
  #   number_of_shards: 1
  # Laid over the mappings above, by field.
  # mappings:
  #   name: { type: text }
`
}

function keyNote(keys: readonly string[]): string {
  if (keys.length > 0) return `The id of a document is made of: ${keys.join(', ')}.`
  return 'It has no primary key: name the columns of a unique key, none of them nullable, under `key: [...]`.'
}

function fieldLine(column: Column, keys: readonly string[], mapping: unknown): readonly [string, string] {
  const name = yamlScalar(column.name)
  const traits = [column.type, keys.includes(column.name) ? 'key' : '', column.nullable ? '' : 'not null']
  const note = traits.filter((trait) => trait !== '').join(', ')
  return [`${name}: ${name}`, mapping === undefined ? note : `${note} → ${describeMapping(mapping)}`]
}

function describeMapping(mapping: unknown): string {
  const { type, fields } = mapping as { type?: string; fields?: Record<string, { type?: string }> }
  const types = [type ?? 'object', ...Object.values(fields ?? {}).map((field) => field.type ?? '')]
  return types.filter((each) => each !== '').join(' with ')
}

/** The table's name, bent to what an index may be called. */
function indexName(table: string): string {
  const name = table.slice(table.indexOf('.') + 1).toLowerCase()
  if (indexNameFault(name) === undefined) return name
  return name.replaceAll(/[^a-z0-9_-]/g, '-').replace(/^[-_]+/, '') || 'documents'
}
