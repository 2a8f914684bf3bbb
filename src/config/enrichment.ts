/** The steps that enrich documents, and the upstreams that they ask: what is wrong in them beyond their schemas. */
import { dirname, resolve } from 'node:path'
import { moduleDigest } from './module-digest.ts'
import { scheduleFault, type Schedule } from './schedule.ts'
import type { PipelineFile } from './pipeline-schema.ts'
import { nearest, type Complain } from './problems.ts'
import type { Settings } from './schema.ts'
import { endpointOf, type UpstreamSettings } from './upstream-schema.ts'

export interface Enrichment {
  readonly field: string
  /** Name of an upstream in the settings. */
  readonly upstream: string
  /** Parameter to the path of a field in the document. */
  readonly parameters: Readonly<Record<string, readonly string[]>>
  readonly onFailure: 'stop' | 'dead-letter' | 'partial'
  readonly missing: 'null' | 'omit'
}

/** When all documents are made anew, and how fast. */
export interface Refresh extends Schedule {
  /** undefined = as fast as other loads. */
  readonly rowsPerSecond: number | undefined
}

/** A function of the user's that documents go through. */
export interface TransformFile {
  readonly path: string
  /** Of its text and of what it imports: another text makes other documents. */
  readonly digest: string
}

export function enrichmentsOf(
  file: PipelineFile,
  settings: Settings,
  complain: Complain,
): readonly Enrichment[] {
  const steps = file.enrich ?? []
  const taken = new Set(Object.keys(file.fields ?? {}))
  for (const [at, { field, upstream: name, with: parameters }] of steps.entries()) {
    const path = ['enrich', String(at)]
    if (taken.has(field)) complain([...path, 'field'], `the document has a field "${field}" already`)
    taken.add(field)
    const upstream = settings.upstreams[name]
    if (upstream === undefined) {
      const suggestion = nearest(name, Object.keys(settings.upstreams))
      complain([...path, 'upstream'], `there is no upstream "${name}" in the settings`, { suggestion })
    } else {
      const ways = [upstream, ...Object.keys(upstream.endpoints).map((tag) => endpointOf(upstream, tag))]
      const faults = ways.map((way) => parameterFault(way ?? upstream, Object.keys(parameters)))
      const fault = faults.find((each) => each !== undefined)
      if (fault !== undefined) complain([...path, 'with'], fault)
    }
  }
  return steps.map(({ field, upstream, with: parameters, onFailure = 'stop', missing = 'null' }) => ({
    field,
    upstream,
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, path]) => [name, path.split('.')])),
    onFailure,
    missing,
  }))
}

export function refreshOf({ refresh, enrich = [] }: PipelineFile, complain: Complain): Refresh | undefined {
  if (refresh === undefined) return undefined
  const { schedule: pattern, timezone = 'UTC', rowsPerSecond } = refresh
  const fault = scheduleFault({ pattern, timezone })
  if (fault !== undefined)
    complain(['refresh'], fault, { expected: 'such as "0 3 * * *", at three each night' })
  if (enrich.length === 0) complain(['refresh'], 'says nothing without enrich: nobody is asked')
  return { pattern, timezone, rowsPerSecond }
}

/** `origin`: the pipeline file. */
export function transformOf(
  { transform }: PipelineFile,
  origin: string,
  complain: Complain,
): TransformFile | undefined {
  if (transform === undefined) return undefined
  const path = resolve(dirname(origin), transform)
  try {
    return { path, digest: moduleDigest(path) }
  } catch {
    complain(['transform'], `the file ${transform} cannot be read`)
    return undefined
  }
}

/** What an upstream's settings lack for its kind, or say wrongly, itself or at an endpoint; undefined = nothing. */
export function upstreamFault(upstream: UpstreamSettings, sources: readonly string[]): Fault | undefined {
  const own = faultAt(upstream, sources)
  if (own !== undefined) return own
  for (const tag of Object.keys(upstream.endpoints)) {
    const fault = faultAt(endpointOf(upstream, tag) ?? upstream, sources)
    if (fault !== undefined) return { ...fault, path: `endpoints.${tag}.${fault.path}` }
  }
  return undefined
}

function faultAt(
  { kind, url, module, query, source }: UpstreamSettings,
  sources: readonly string[],
): Fault | undefined {
  if (kind === 'http') return urlFault(url)
  if (kind === 'module') return module === undefined ? { path: 'module', found: 'is missing' } : undefined
  if (query === undefined) return { path: 'query', found: 'is missing' }
  if (query.split(':keys').length !== 2) {
    return { path: 'query', found: 'does not have :keys once', expected: 'a condition such as id IN (:keys)' }
  }
  if (source === undefined ? sources.length === 1 : sources.includes(source)) return undefined
  const found = source === undefined ? 'is missing' : `there is no source "${source}" in the settings`
  return { path: 'source', found, expected: `one of ${sources.join(', ')}` }
}

/** Which host is asked is for the settings to say, not for rows. */
function urlFault(url: string | undefined): Fault | undefined {
  if (url === undefined) return { path: 'url', found: 'is missing' }
  if (!/^[^/]+\/\/[^/?#]*[{}]/.test(url)) return undefined
  return { path: 'url', found: 'has a parameter in its host', expected: 'parameters in path and query alone' }
}

interface Fault {
  readonly path: string
  readonly found: string
  readonly expected?: string
}

function parameterFault(
  { kind, method, url = '', key }: UpstreamSettings,
  given: readonly string[],
): string | undefined {
  if (kind === 'sql' && given.length !== 1) return 'a query is asked with one value'
  if (key !== undefined && given.length !== 1) return 'an upstream with a key is asked with one value'
  if (kind !== 'http' || method !== 'get') return undefined
  const wanted = [...url.matchAll(/\{([^{}]+)\}/g)].map(([, name]) => name ?? '')
  const missing = wanted.find((name) => !given.includes(name))
  if (missing !== undefined) return `the upstream asks for {${missing}}`
  const idle = given.find((name) => !wanted.includes(name))
  return idle === undefined ? undefined : `the URL of the upstream has no {${idle}}`
}
