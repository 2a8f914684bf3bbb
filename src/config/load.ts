/** Files, environment and arguments to checked, frozen, plain objects. */
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Failure } from '../change/failure.ts'
import { coerce, conform, describe, isMapping, nodeAt } from './conform.ts'
import { cacheConnection, sourceConnection, storeConnection, targetConnection } from './connection.ts'
import { problemOf, readDocument, type Reading } from './document.ts'
import { upstreamFault } from './enrichment.ts'
import { readPipelines, type Pipeline } from './pipeline.ts'
import { nearest, refuse, type Problem } from './problems.ts'
import { pipelineSchema } from './pipeline-schema.ts'
import { settingsSchema, type Settings, type SourceSettings, type TargetSettings } from './schema.ts'
import { createSecrets, secretsOfUrl, type Secrets } from './secrets.ts'
import { finishSettings, fromEnvironment, leaves, mergeSettings, variableOf } from './settings.ts'
import type { Texts, Tree } from './settings.ts'

export interface Configuration {
  readonly settings: Settings
  readonly pipelines: readonly Pipeline[]
  /** Makes every known secret in a text unreadable; all text that leaves the process goes through it. */
  readonly redact: (text: string) => string
  /** The settings as the files say them now; secrets among them are redacted from then on too. Throws as loading does. */
  readonly reread: () => Settings
}

export interface LoadRequest {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  /** Default: `config/millrace.yaml`. */
  readonly file?: string | undefined
  /** `log.segmentMb=64`. */
  readonly overrides?: readonly string[] | undefined
  /** For commands that connect to nothing: references that cannot be resolved stay as they are written. */
  readonly offline?: boolean
}

/** Throws a Failure of kind `configuration` that lists every problem of every file. */
export function loadConfiguration(request: LoadRequest): Configuration {
  const secrets = createSecrets()
  const reading = { ...request, secrets, offline: request.offline === true }
  const settings = loadSettings(request, reading)
  const documents = pipelineFiles(settings.pipelines).map((path) =>
    readDocument(path, pipelineSchema, reading),
  )
  const { pipelines, problems } = readPipelines(documents, settings)
  refuse([...documents.flatMap((document) => document.problems), ...problems])
  return Object.freeze({
    settings,
    pipelines,
    redact: secrets.redact,
    reread: () => loadSettings(request, reading),
  })
}

/** One pipeline file beside those of the configuration: a draft of one of them. Throws as `loadConfiguration` does. */
export function loadPipelineFile(request: LoadRequest, path: string): readonly Pipeline[] {
  const reading = { ...request, secrets: createSecrets(), offline: request.offline === true }
  const settings = loadSettings(request, reading)
  const document = readDocument(resolve(request.workingDirectory, path), pipelineSchema, reading)
  const { pipelines, problems } = readPipelines([document], settings)
  refuse([...document.problems, ...problems])
  return pipelines
}

/** A configuration without files, for a command that makes the first one: defaults, and what is given. */
export function configurationOf(given: Tree, workingDirectory: string): Configuration {
  const secrets = createSecrets()
  const merged = mergeSettings({ file: given, environment: new Map(), overrides: new Map() })
  refuse(conform(settingsSchema, merged).map((complaint) => problemOf('the command line', complaint)))
  rememberSecrets(merged, secrets)
  const settings = finishSettings(withAbsolutePaths(merged, workingDirectory))
  refuse(contradictions(settings, 'the command line'))
  return Object.freeze({ settings, pipelines: [], redact: secrets.redact, reread: () => settings })
}

function loadSettings(request: LoadRequest, reading: Reading): Settings {
  const path = resolve(request.workingDirectory, request.file ?? join('config', 'millrace.yaml'))
  const document = readDocument(path, settingsSchema, reading)
  // What is missing in the file may still come from the environment or the arguments.
  const problems = document.problems.filter((problem) => problem.found !== 'is missing')
  const environment = fromEnvironment(request.environment)
  problems.push(...textProblems(environment, (at) => `the environment variable ${variableOf(at)}`))
  const overrides = splitOverrides(request.overrides ?? [], problems)
  problems.push(...textProblems(overrides, () => '--set'))
  refuse(problems)
  const file = withAbsolutePaths({ pipelines: './pipelines', ...document.value }, dirname(path))
  const merged = mergeSettings({
    file: { ...file, state: document.value['state'] ?? './state' },
    environment,
    overrides,
  })
  rememberSecrets(merged, reading.secrets)
  const complaints = conform(settingsSchema, merged).filter(
    (complaint) => !document.isUnresolved(complaint.path),
  )
  refuse(complaints.map((complaint) => problemOf(document.origin, complaint, document.lineOf)))
  const absolute = withAbsolutePaths(merged, request.workingDirectory)
  if (reading.offline) return absolute as Settings
  const settings = finishSettings(absolute)
  refuse(contradictions(settings, document.origin))
  return settings
}

function splitOverrides(overrides: readonly string[], problems: Problem[]): Texts {
  const texts = new Map<string, string>()
  const known = leaves().map(({ path }) => path.join('.'))
  for (const override of overrides) {
    const [, path, text] = /^([^=]+)=(.*)$/s.exec(override) ?? []
    if (path === undefined || text === undefined) {
      problems.push({
        origin: '--set',
        path: '',
        found: `"${override}" has no "="`,
        expected: 'log.segmentMb=64',
      })
    } else if (known.some((pattern) => matches(pattern, path))) {
      texts.set(path, text)
    } else {
      problems.push({ origin: '--set', path, found: 'is not a setting', suggestion: nearest(path, known) })
    }
  }
  return texts
}

function matches(pattern: string, path: string): boolean {
  const keys = path.split('.')
  const wanted = pattern.split('.')
  return keys.length === wanted.length && wanted.every((key, index) => key === '*' || key === keys[index])
}

function textProblems(texts: Texts, originOf: (path: readonly string[]) => string): Problem[] {
  return [...texts].flatMap(([dotted, text]) => {
    const path = dotted.split('.')
    const node = nodeAt(settingsSchema, path)
    if (node === undefined) {
      const expected = 'a name in small letters, digits and underscores'
      return [{ origin: originOf(path), path: dotted, found: 'is not a name that can be used', expected }]
    }
    return conform(node, coerce(node, text), path).map((complaint) => ({
      ...problemOf(originOf(path), complaint),
      expected: complaint.expected ?? describe(node),
    }))
  })
}

/** What no single value shows. */
function contradictions(settings: Settings, origin: string): readonly Problem[] {
  const problems: Problem[] = []
  const attempt = (path: string, connect: () => unknown) => {
    try {
      connect()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      problems.push({ origin, path, found: error.message, expected: error.remedy })
    }
  }
  for (const [name, source] of Object.entries(settings.sources)) {
    problems.push(...missingOfSource(name, source).map((path) => ({ origin, path, found: 'is missing' })))
    if (source.url !== undefined) attempt(`sources.${name}.url`, () => sourceConnection(source))
    problems.push(...readsFault(name, settings, origin))
  }
  for (const [name, target] of Object.entries(settings.targets)) {
    attempt(`targets.${name}.url`, () => targetConnection(target))
    const missing = missingOfTarget(target)
    if (missing !== undefined)
      problems.push({ origin, path: `targets.${name}.${missing}`, found: 'is missing' })
    const { username, apiKey, bearer, aws } = target.auth
    if ([username, apiKey, bearer, aws.region].filter((way) => way !== undefined).length > 1) {
      const expected = 'only one of username, apiKey, bearer and aws'
      problems.push({ origin, path: `targets.${name}.auth`, found: 'names several ways to log in', expected })
    }
  }
  if (settings.store.kind === 'mysql') attempt('store.url', () => storeConnection(settings.store))
  if (settings.cache.kind === 'redis') {
    attempt('cache.url', () => cacheConnection(settings.cache))
    if (settings.cache.processes === undefined)
      problems.push({ origin, path: 'cache.processes', found: 'is missing' })
  }
  for (const [name, upstream] of Object.entries(settings.upstreams)) {
    const fault = upstreamFault(upstream, Object.keys(settings.sources))
    if (fault !== undefined) problems.push({ origin, ...fault, path: `upstreams.${name}.${fault.path}` })
  }
  if (settings.log.ceilingGb < settings.log.retentionGb) {
    const expected = `at least log.retentionGb, ${settings.log.retentionGb}`
    problems.push({ origin, path: 'log.ceilingGb', found: `found ${settings.log.ceilingGb}`, expected })
  }
  return problems
}

function missingOfSource(name: string, { kind, url, kafka }: SourceSettings): readonly string[] {
  if (kind === 'mysql') return url === undefined ? [`sources.${name}.url`] : []
  return kafka.brokers.length === 0 ? [`sources.${name}.kafka.brokers`] : []
}

function readsFault(name: string, { sources }: Settings, origin: string): readonly Problem[] {
  const from = sources[name]?.reads.from
  if (from === undefined || (from !== name && sources[from] !== undefined)) return []
  const expected = 'another source of the settings'
  return [{ origin, path: `sources.${name}.reads.from`, found: `found "${from}"`, expected }]
}

function missingOfTarget({ kind, url, module }: TargetSettings): 'url' | 'module' | undefined {
  if (kind === 'module') return module === undefined ? 'module' : undefined
  return url.length === 0 ? 'url' : undefined
}

/** A folder that does not exist is an empty one: the first pipeline is yet to be written. */
function pipelineFiles(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => /^[^.].*\.ya?ml$/.test(name))
  return names.toSorted().map((name) => join(folder, name))
}

const paths = [
  'state',
  'pipelines',
  'sources.*.tls.ca',
  'sources.*.tls.cert',
  'sources.*.tls.key',
  'sources.*.kafka.tls.ca',
  'sources.*.kafka.tls.cert',
  'sources.*.kafka.tls.key',
  'targets.*.tls.ca',
  'targets.*.module',
  'store.tls.ca',
  'store.tls.cert',
  'store.tls.key',
  'cache.tls.ca',
  'cache.tls.cert',
  'cache.tls.key',
  'upstreams.*.module',
]

function withAbsolutePaths(tree: Tree, folder: string): Tree {
  return mapLeaves(tree, [], (value, path) => {
    const isPath = paths.some((pattern) => matches(pattern, path.join('.')))
    return isPath && typeof value === 'string' ? resolve(folder, value) : value
  }) as Tree
}

function mapLeaves(
  value: unknown,
  path: readonly string[],
  change: (value: unknown, path: readonly string[]) => unknown,
): unknown {
  if (!isMapping(value)) return change(value, path)
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, mapLeaves(member, [...path, key], change)]),
  )
}

function rememberSecrets(settings: Tree, secrets: Secrets): void {
  mapLeaves(settings, [], (value, path) => {
    if (nodeAt(settingsSchema, path)?.writeOnly !== true) return value
    for (const text of [value].flat()) if (typeof text === 'string') rememberSecret(text, path, secrets)
    return value
  })
}

function rememberSecret(text: string, path: readonly string[], secrets: Secrets): void {
  if (path.at(-1) !== 'url') secrets.add(text)
  for (const part of secretsOfUrl(text)) secrets.add(part)
}
