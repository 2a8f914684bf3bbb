/** Pipeline files: one table and the indexes that follow it. */
import type { DocumentDefinition } from '../document/definition.ts'
import { alertChannelsOf } from './alert-channels.ts'
import { examineChildren, examineUnnamed, rowDefinitionOf } from './children.ts'
import type { Document } from './document.ts'
import {
  enrichmentsOf,
  refreshOf,
  transformOf,
  type Enrichment,
  type Refresh,
  type TransformFile,
} from './enrichment.ts'
import { examineMasks, examineMasksTogether } from './masks.ts'
import { nearest, type Complain, type Problem } from './problems.ts'
import type { PipelineFile } from './pipeline-schema.ts'
import type { Settings } from './schema.ts'
import { familyOf, type IndexFamily } from './index-family.ts'
import { freeze } from './settings.ts'
import { examineSql, queryOf } from './sql-document.ts'

interface Canary {
  /** The row's key, as `touch` takes it. */
  readonly row: string
  readonly column: string
  readonly everySeconds: number
  readonly withinSeconds: number
}

export type Start =
  | { readonly kind: 'load' }
  | { readonly kind: 'now' }
  | { readonly kind: 'earliest' }
  /** A place in the source, in its own words, without a load. */
  | { readonly kind: 'position'; readonly text: string }

/** A pipeline's way to one of its targets; of a file that names several there are several. */
export interface Pipeline {
  readonly name: string
  /** How a person names this way alone: the name, or `PIPELINE@TARGET` where there are several. */
  readonly label: string
  /** The file it was read from, as a person would write it. */
  readonly origin: string
  /** Name of a source in the settings. */
  readonly source: string
  readonly definition: DocumentDefinition
  /** Columns of a unique key that stands in for a missing primary key. */
  readonly key: readonly string[] | undefined
  /** Steps that add fields to the documents, in order. */
  readonly enrich: readonly Enrichment[]
  /** When upstreams are asked anew although no row changed; undefined = never by itself. */
  readonly refresh: Refresh | undefined
  readonly transform: TransformFile | undefined
  readonly target: {
    /** Name of a target in the settings. */
    readonly name: string
    /** The target that the work of tasks goes through; undefined = this one. */
    readonly ofTasks: string | undefined
    /** The first that the file names. */
    readonly isPrimary: boolean
    /** The alias that is written to. */
    readonly index: string
    /** With an index for each period of a date: what names them, and how many are kept. */
    readonly family: IndexFamily | undefined
    /** Take over an index that millrace did not fill. */
    readonly adopt: boolean
    /** Documents show what they were made from. */
    readonly metadata: boolean
    readonly settings: Readonly<Record<string, unknown>>
    readonly mappings: Readonly<Record<string, unknown>>
  }
  readonly policy: {
    readonly start: Start
    /** undefined = as the settings say. */
    readonly batchAgeMs: number | undefined
    /** So far behind its row a document may be. */
    readonly freshnessSeconds: number
    /** What a change of the table's columns does. */
    readonly ddl: 'auto' | 'propose' | 'freeze'
    /** A row that is changed again and again, and must be found by a search. */
    readonly canary: Canary | undefined
    /** What is done when the log had to let go of what a target lacks. */
    readonly onLost: 'stop' | 'reload'
    /** Names of the channels of the settings that are told of its troubles. */
    readonly alerts: readonly string[]
  }
}

/** The log's group that delivers a pipeline: `PIPELINE@TARGET`. */
export function groupOf(pipeline: Pipeline): string {
  return `${pipeline.name}@${pipeline.target.name}`
}

/** Whether one of the words means it: its name, or `PIPELINE@TARGET`. */
export function isMeant(pipeline: Pipeline, words: readonly string[]): boolean {
  return words.includes(pipeline.name) || words.includes(groupOf(pipeline))
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
    const own = pipelinesOf(file, document, settings, complain)
    examineFile(own, file, pipelines, complain)
    for (const pipeline of own.slice(0, 1)) examineMasks(pipeline, settings, complain)
    for (const [at, pipeline] of own.entries()) {
      examineTarget(pipeline, pathOf(file, at), pipelines, complain)
      pipelines.push(pipeline)
    }
  }
  examineMasksTogether(pipelines, settings, ({ origin }, path, found) =>
    problems.push({
      origin,
      line: documents.find((each) => each.origin === origin)?.lineOf(path),
      path: path.join('.'),
      found,
      expected: 'a column that leaves the database in one form alone',
    }),
  )
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

/** One for each target. */
function pipelinesOf(
  file: PipelineFile,
  document: Document,
  settings: Settings,
  complain: Complain,
): readonly Pipeline[] {
  const name = file.name ?? document.path.replace(/^.*[\\/]/, '').replace(/\.ya?ml$/, '')
  const targets = file.targets ?? [file.target ?? {}]
  const sources = file.source === undefined ? sourcesOfChanges(settings) : settings.sources
  const source = pick({ kind: 'source', path: ['source'] }, file.source, sources, complain)
  const definition = definitionOf(file, settings)
  const enrich = enrichmentsOf(file, settings, complain)
  const refresh = refreshOf(file, complain)
  const transform = transformOf(file, document.path, complain)
  const policy = { ...policyOf(file), alerts: alertChannelsOf(file, settings, complain) }
  return targets.map(({ name: wanted, index: named = name, ...more }, at) => {
    const target = pick(
      { kind: 'target', path: [...pathOf(file, at), 'name'] },
      wanted,
      settings.targets,
      complain,
    )
    const { index, family } = familyOf(named, more.keep, (found) =>
      complain([...pathOf(file, at), 'index'], found, { expected: 'such as visits-{created_at:YYYY_MM}' }),
    )
    const asks = { isFamily: family !== undefined, hasCanary: file.policy?.canary !== undefined }
    examineKind(settings.targets[target]?.kind, asks, (path, found) =>
      complain(path[0] === 'policy' ? path : [...pathOf(file, at), ...path], found),
    )
    return {
      name,
      label: targets.length === 1 ? name : `${name}@${target}`,
      origin: document.origin,
      source,
      definition: placed(definition, more.routing ?? [], family),
      key: file.key,
      enrich,
      refresh,
      transform,
      target: {
        name: target,
        ofTasks: taggedTarget(more.taskTag, settings, (found, expected) =>
          complain([...pathOf(file, at), 'taskTag'], found, { expected }),
        ),
        isPrimary: at === 0,
        index,
        family,
        ...wishesOf(more),
      },
      policy,
    }
  })
}

function wishesOf({
  adopt = false,
  metadata = false,
  settings = {},
  mappings = {},
}: NonNullable<PipelineFile['target']>): Pick<
  Pipeline['target'],
  'adopt' | 'metadata' | 'settings' | 'mappings'
> {
  return { adopt, metadata, settings, mappings }
}

/** What only a search server can do. */
function examineKind(
  kind: string | undefined,
  { isFamily, hasCanary }: { readonly isFamily: boolean; readonly hasCanary: boolean },
  complain: (path: readonly string[], found: string) => void,
): void {
  if (kind !== 'http' && kind !== 'module') return
  if (isFamily) complain(['index'], `a target of kind ${kind} has no indexes by period`)
  if (hasCanary) complain(['policy', 'canary'], `a target of kind ${kind} cannot be searched`)
}

/** The one target with a tag. */
function taggedTarget(
  tag: string | undefined,
  { targets }: Settings,
  complain: (found: string, expected: string) => void,
): string | undefined {
  if (tag === undefined) return undefined
  const tagged = Object.keys(targets).filter((name) => targets[name]?.tags.includes(tag) === true)
  if (tagged.length !== 1)
    complain(
      tagged.length === 0 ? `no target has the tag "${tag}"` : `${tagged.join(', ')} have the tag "${tag}"`,
      'the tag of one target',
    )
  return tagged[0]
}

function placed(
  definition: DocumentDefinition,
  routing: readonly string[],
  family: IndexFamily | undefined,
): DocumentDefinition {
  if (routing.length === 0 && family === undefined) return definition
  const { column, prefix, format } = family ?? {}
  const period =
    column === undefined || prefix === undefined || format === undefined
      ? undefined
      : { column, prefix, format }
  return { ...definition, placing: { routing, period } }
}

function policyOf({ policy = {} }: PipelineFile): Omit<Pipeline['policy'], 'alerts'> {
  return {
    start: startOf(policy.start ?? 'load'),
    batchAgeMs: policy.batchAgeMs,
    freshnessSeconds: policy.freshness ?? 0,
    ddl: policy.ddl ?? 'auto',
    canary:
      policy.canary === undefined ? undefined : { everySeconds: 10, withinSeconds: 30, ...policy.canary },
    onLost: policy.onLost ?? 'stop',
  }
}

/** Where a file says what its target is. */
function pathOf(file: PipelineFile, at: number): readonly string[] {
  return file.targets === undefined ? ['target'] : ['targets', String(at)]
}

function definitionOf(file: PipelineFile, settings: Settings): DocumentDefinition {
  return {
    ...rowDefinitionOf(file, settings),
    id: file.id?.columns,
    idPrefix: file.id?.prefix ?? '',
    ...(file.sql === undefined ? {} : { sql: queryOf(file) }),
  }
}

/** Without those that are only there for others to read rows from. */
function sourcesOfChanges({ sources }: Settings): Settings['sources'] {
  const replicas = Object.values(sources).map(({ reads }) => reads.from)
  return Object.fromEntries(Object.entries(sources).filter(([name]) => !replicas.includes(name)))
}

/** The named one, or the only one there is. */
function pick(
  { kind, path }: { readonly kind: 'source' | 'target'; readonly path: readonly string[] },
  name: string | undefined,
  known: Readonly<Record<string, unknown>>,
  complain: Complain,
): string {
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

function examineFile(
  own: readonly Pipeline[],
  file: PipelineFile,
  others: readonly Pipeline[],
  complain: Complain,
): void {
  const [first] = own
  const name = first?.name ?? ''
  examineSql(file, complain)
  if (first !== undefined) examineChildren(first.definition, file.children, [], complain)
  if (first !== undefined && first.policy.ddl !== 'auto') examineUnnamed(first.definition, [], complain)
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) {
    const expected = 'small letters, digits, - and _, at most 63; give another with `name`'
    complain([], `"${name}" cannot be the name of a pipeline`, { expected })
  }
  if (file.fields !== undefined && file.exclude !== undefined) {
    complain(['exclude'], 'says nothing beside fields: what fields does not name is left out anyway')
  }
  if (file.target !== undefined && file.targets !== undefined) {
    complain(['target'], 'is given beside targets', { expected: 'one of the two' })
  }
  const namesake = others.find((other) => other.name === name)
  if (namesake !== undefined) {
    complain(['name'], `"${name}" is the name of the pipeline in ${namesake.origin} already`)
  }
}

function examineTarget(
  pipeline: Pipeline,
  path: readonly string[],
  others: readonly Pipeline[],
  complain: Complain,
): void {
  const { name, index } = pipeline.target
  const fault = indexNameFault(index)
  if (fault !== undefined) complain([...path, 'index'], `the name of the index, "${index}", ${fault}`)
  if (others.some((other) => groupOf(other) === groupOf(pipeline) && other.origin === pipeline.origin)) {
    complain([...path, 'name'], `"${name}" is named twice`, { expected: 'each target once' })
    return
  }
  if (pipeline.target.ofTasks !== undefined && pipeline.definition.children !== undefined)
    complain([...path, 'taskTag'], 'is given, but a change of a child cannot be told from a task')
  const rival = others.find((other) => other.target.name === name && other.target.index === index)
  if (rival !== undefined) {
    complain([...path, 'index'], `"${index}" is filled by the pipeline in ${rival.origin} already`)
  }
}

function startOf(start: NonNullable<NonNullable<PipelineFile['policy']>['start']>): Start {
  return typeof start === 'string' ? { kind: start } : { kind: 'position', text: start.gtid }
}
