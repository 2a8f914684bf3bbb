/** Pipeline files: one table and the index that follows it. */
import type { Comparison, Condition, DocumentDefinition } from '../document/definition.ts'
import { isMapping } from './conform.ts'
import type { Document } from './document.ts'
import { nearest, type Problem } from './problems.ts'
import type { PipelineFile } from './pipeline-schema.ts'
import type { Settings } from './schema.ts'
import { freeze } from './settings.ts'

export type Start =
  | { readonly kind: 'load' }
  | { readonly kind: 'now' }
  | { readonly kind: 'earliest' }
  /** A place in the source, in its own words, without a load. */
  | { readonly kind: 'position'; readonly text: string }

export interface Pipeline {
  readonly name: string
  /** The file it was read from, as a person would write it. */
  readonly origin: string
  /** Name of a source in the settings. */
  readonly source: string
  readonly definition: DocumentDefinition
  /** Columns of a unique key that stands in for a missing primary key. */
  readonly key: readonly string[] | undefined
  readonly target: {
    /** Name of a target in the settings. */
    readonly name: string
    /** The alias that is written to. */
    readonly index: string
    /** Take over an index that millrace did not fill. */
    readonly adopt: boolean
    readonly settings: Readonly<Record<string, unknown>>
    readonly mappings: Readonly<Record<string, unknown>>
  }
  readonly policy: {
    readonly start: Start
    /** undefined = as the settings say. */
    readonly batchAgeMs: number | undefined
    /** What a change of the table's columns does. */
    readonly ddl: 'auto' | 'propose' | 'freeze'
  }
}

/** The log's group that delivers a pipeline: `PIPELINE@TARGET`. */
export function groupOf(pipeline: Pipeline): string {
  return `${pipeline.name}@${pipeline.target.name}`
}

/** Pipelines of all files, and what is wrong in or between them beyond their schema. Files with problems are left out. */
export function readPipelines(
  documents: readonly Document[],
  settings: Settings,
): { readonly pipelines: readonly Pipeline[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const pipelines: Pipeline[] = []
  for (const document of documents.filter((each) => each.problems.length === 0)) {
    const complain: Complain = (path, found, more = {}) => {
      problems.push({
        origin: document.origin,
        line: document.lineOf(path),
        path: path.join('.'),
        found,
        ...more,
      })
    }
    // The document has passed the schema that the type is made from.
    const file = document.value as unknown as PipelineFile
    const pipeline = pipelineOf(file, document, settings, complain)
    examine(pipeline, file, pipelines, complain)
    pipelines.push(pipeline)
  }
  return { pipelines: freeze(pipelines), problems }
}

/** Why an index cannot have this name; undefined = it can. */
export function indexNameFault(name: string): string | undefined {
  if (name !== name.toLowerCase()) return 'has capital letters'
  if (/[\\/*?"<>| ,#:]/.test(name)) return 'has one of the characters \\ / * ? " < > | , # : or a space'
  if (/^[-_+.]/.test(name)) return 'begins with one of - _ + .'
  if (name === '') return 'is empty'
  return Buffer.byteLength(name) > 200 ? 'is longer than 200 bytes' : undefined
}

type Complain = (
  path: readonly string[],
  found: string,
  more?: { readonly expected?: string; readonly suggestion?: string | undefined },
) => void

function pipelineOf(
  file: PipelineFile,
  document: Document,
  settings: Settings,
  complain: Complain,
): Pipeline {
  const name = file.name ?? document.path.replace(/^.*[\\/]/, '').replace(/\.ya?ml$/, '')
  const { name: target, index = name, ...more } = file.target ?? {}
  return {
    name,
    origin: document.origin,
    source: pick('source', file.source, settings.sources, complain),
    definition: definitionOf(file),
    key: file.key,
    target: {
      name: pick('target', target, settings.targets, complain),
      index,
      adopt: more.adopt ?? false,
      settings: more.settings ?? {},
      mappings: more.mappings ?? {},
    },
    policy: {
      start: startOf(file.policy?.start ?? 'load'),
      batchAgeMs: file.policy?.batchAgeMs,
      ddl: file.policy?.ddl ?? 'auto',
    },
  }
}

function definitionOf(file: PipelineFile): DocumentDefinition {
  return {
    table: file.table,
    fields: file.fields,
    exclude: file.exclude ?? [],
    forms: file.forms,
    where: Object.entries(file.where ?? {}).flatMap(([column, filter]) => conditions(column, filter)),
    id: file.id?.columns,
    idPrefix: file.id?.prefix ?? '',
  }
}

/** The named one, or the only one there is. */
function pick(
  kind: 'source' | 'target',
  name: string | undefined,
  known: Readonly<Record<string, unknown>>,
  complain: Complain,
): string {
  const path = kind === 'source' ? ['source'] : ['target', 'name']
  const names = Object.keys(known)
  if (name !== undefined && names.includes(name)) return name
  if (name !== undefined) {
    const suggestion = nearest(name, names)
    complain(path, `there is no ${kind} "${name}" in the settings`, { suggestion })
    return name
  }
  const [only] = names
  if (only !== undefined && names.length === 1) return only
  const found = names.length === 0 ? `the settings have no ${kind}` : `the settings have several ${kind}s`
  complain(path, found, {
    expected: names.length === 0 ? `one under ${kind}s` : `one of ${names.join(', ')}`,
  })
  return ''
}

function examine(
  pipeline: Pipeline,
  file: PipelineFile,
  others: readonly Pipeline[],
  complain: Complain,
): void {
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(pipeline.name)) {
    const expected = 'small letters, digits, - and _, at most 63; give another with `name`'
    complain([], `"${pipeline.name}" cannot be the name of a pipeline`, { expected })
  }
  if (file.fields !== undefined && file.exclude !== undefined) {
    complain(['exclude'], 'says nothing beside fields: what fields does not name is left out anyway')
  }
  const fault = indexNameFault(pipeline.target.index)
  if (fault !== undefined) {
    complain(['target', 'index'], `the name of the index, "${pipeline.target.index}", ${fault}`)
  }
  const namesake = others.find((other) => other.name === pipeline.name)
  if (namesake !== undefined) {
    complain(['name'], `"${pipeline.name}" is the name of the pipeline in ${namesake.origin} already`)
  }
  const { name, index } = pipeline.target
  const rival = others.find((other) => other.target.name === name && other.target.index === index)
  if (rival !== undefined) {
    complain(['target', 'index'], `"${index}" is filled by the pipeline in ${rival.origin} already`)
  }
}

type Filter = NonNullable<PipelineFile['where']>[string]

function conditions(column: string, filter: Filter): readonly Condition[] {
  if (!isMapping(filter)) return [{ column, comparison: 'eq', value: filter }]
  return Object.entries(filter).map(([comparison, value]) => ({
    column,
    comparison: comparison as Comparison,
    value,
  }))
}

function startOf(start: NonNullable<NonNullable<PipelineFile['policy']>['start']>): Start {
  return typeof start === 'string' ? { kind: start } : { kind: 'position', text: start.gtid }
}
