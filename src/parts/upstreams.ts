/** What documents go through after their rows made them: upstreams and functions of the user's, opened once for all pipelines. */
import { createHash } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import type { Key } from '../change/change.ts'
import { explain, Failure } from '../change/failure.ts'
import type { Enrichment, TransformFile } from '../config/enrichment.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import type { Settings } from '../config/schema.ts'
import { endpointOf, type UpstreamSettings } from '../config/upstream-schema.ts'
import type { Enricher } from '../document/enricher.ts'
import { transforming, type Transform, type Transformer } from '../document/transform.ts'
import type { Log } from '../log/log.ts'
import type { Capture } from '../pipeline/capture/capture.ts'
import { completing } from '../pipeline/building/completing.ts'
import { enriching } from '../pipeline/building/enriching.ts'
import type { Observe } from '../pipeline/facts.ts'
import { Inquiries } from '../pipeline/building/inquiries.ts'
import type { LoadState } from '../pipeline/capture/load-state.ts'
import type { Sharing } from '../pipeline/building/sharing.ts'
import type { SourceAdmin } from '../source/source.ts'
import { SqlUpstream } from '../source/mysql/reading/sql-upstream.ts'
import { megabyte } from '../units.ts'
import { systemClock } from '../system-clock.ts'
import { within } from './time-limit.ts'
import type { Workshop } from './workshop.ts'
import { HttpUpstream } from '../upstream/http/http-upstream.ts'
import { openModule } from '../upstream/module/module-upstream.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** What the works beside a pipeline are done with. */
export interface Surroundings {
  readonly source: Pick<SourceAdmin, 'describe'>
  readonly capture: Pick<Capture, 'touch'>
  readonly log: Pick<Log, 'deadLetters'>
}

/** An enricher with what the pipeline's file wants done to the documents that it makes. */
export type Refine = (inner: Enricher) => Enricher

export class Upstreams {
  readonly #settings: Settings
  readonly #inquiries: ReadonlyMap<string, Inquiries>
  readonly #transforms: ReadonlyMap<string, Transformer>

  private constructor(
    settings: Settings,
    inquiries: ReadonlyMap<string, Inquiries>,
    transforms: ReadonlyMap<string, Transformer>,
  ) {
    this.#settings = settings
    this.#inquiries = inquiries
    this.#transforms = transforms
  }

  /** Those that the pipelines ask. Throws a Failure of kind `configuration` where a module cannot be used. */
  static async open(
    workshop: Workshop,
    pipelines: readonly Pipeline[],
    { sharing, observe }: { readonly sharing: Sharing; readonly observe: Observe },
  ): Promise<Upstreams> {
    const { settings } = workshop.configuration
    const names = new Set(pipelines.flatMap(({ enrich }) => enrich.map(({ upstream }) => upstream)))
    const inquiries = new Map<string, Inquiries>()
    for (const name of names) {
      const upstream = settings.upstreams[name]
      if (upstream === undefined) throw new Failure('configuration', `there is no upstream ${name}`)
      const endpoint = endpointOf(upstream, settings.load.tag)
      const ways = new Map([[name, upstream]])
      if (endpoint !== undefined) ways.set(taskName(name), endpoint)
      for (const [way, own] of ways) {
        const opened = await openUpstream(way, own, workshop)
        const parts = { name: way, shelf: `${way}:${digestOf(own)}`, upstream: opened, limits: limitsOf(own) }
        inquiries.set(way, new Inquiries({ ...parts, sharing, clock: systemClock, observe }))
      }
    }
    const transforms = new Map<string, Transformer>()
    for (const { name, transform } of pipelines)
      if (transform !== undefined) transforms.set(name, await openTransform(transform))
    return new Upstreams(settings, inquiries, transforms)
  }

  /** `load` is what the pipeline's table is being read for, or was last. */
  refineFor(
    { name, enrich }: Pipeline,
    load: () => Pick<LoadState, 'phase' | 'renewedAtMs'> | undefined = () => undefined,
  ): Refine {
    const steps = enrich.map((step) => {
      const ask: Inquiries['ask'] = (questions, signal) => {
        const { phase = 'done', renewedAtMs = 0 } = load() ?? {}
        const inquiries = this.#inquiriesOf(step, phase !== 'done')
        inquiries.renew(renewedAtMs)
        return inquiries.ask(questions, signal)
      }
      return { ...step, inquiries: { ask } }
    })
    return (inner) => transforming(enriching(inner, steps), this.#transforms.get(name))
  }

  /** Works beside the pipeline that ask again for what an upstream did not give. */
  companionsOf(
    pipeline: Pipeline,
    { source, capture, log }: Surroundings,
  ): readonly ((ending: AbortSignal) => Promise<void>)[] {
    const group = groupOf(pipeline)
    const touch = async (keys: readonly Key[], signal: AbortSignal): Promise<void> => {
      const { table } = await source.describe(pipeline.definition.table)
      await capture.touch({ table, keys, addressee: group }, signal)
    }
    return pipeline.enrich.map((step) => {
      const { upstream } = step
      const everyMs = (this.#settings.upstreams[upstream]?.completeSeconds ?? 0) * 1000
      const inquiries = this.#inquiriesOf(step)
      const isLeftAlone = (): boolean => inquiries.isLeftAlone
      const { deadLetters } = log
      return (ending) =>
        completing({ group, upstream, everyMs, deadLetters, isLeftAlone, touch, clock: systemClock }, ending)
    })
  }

  async close(): Promise<void> {
    for (const inquiries of this.#inquiries.values()) await inquiries.close()
  }

  /** Tasks ask at endpoints of their own, where there are such. */
  #inquiriesOf({ upstream }: Enrichment, isTask = false): Inquiries {
    const own = isTask ? this.#inquiries.get(taskName(upstream)) : undefined
    const inquiries = own ?? this.#inquiries.get(upstream)
    if (inquiries === undefined) throw new Error(`the upstream ${upstream} was not opened`)
    return inquiries
  }
}

/** Of an upstream's endpoint for tasks; no upstream has such a name itself. */
function taskName(upstream: string): string {
  return `${upstream}/task`
}

async function openUpstream(name: string, settings: UpstreamSettings, workshop: Workshop): Promise<Upstream> {
  const { kind, url = '', module = '', headers = [], answers, value, key, method } = settings
  const bounds = { questionsMax: settings.batch, timeoutMs: settings.timeoutSeconds * 1000 }
  if (kind === 'module') return await openModule({ name, path: module, ...bounds })
  if (kind === 'sql')
    return new SqlUpstream(workshop.serverOf(settings.source), {
      name,
      query: settings.query ?? '',
      rows: settings.rows,
      value,
      ...bounds,
    })
  return new HttpUpstream({
    name,
    url,
    method,
    headers: Object.fromEntries(headers.map(nameAndValue)),
    answers: pathOf(answers),
    value: pathOf(value),
    key: pathOf(key),
    responseBytesMax: Math.round(settings.responseMb * megabyte),
    ...bounds,
  })
}

/** Answers to another way of asking are other answers. */
function digestOf(settings: UpstreamSettings): string {
  return createHash('sha256').update(JSON.stringify(settings)).digest('base64url').slice(0, 12)
}

function pathOf(text: string | undefined): readonly string[] {
  return text?.split('.') ?? []
}

function nameAndValue(header: string): readonly [string, string] {
  const colon = header.indexOf(':')
  return [header.slice(0, colon), header.slice(colon + 1).trim()]
}

function limitsOf(settings: UpstreamSettings): ConstructorParameters<typeof Inquiries>[0]['limits'] {
  return {
    requestsPerSecond: settings.requestsPerSecond,
    concurrency: settings.concurrency,
    retries: settings.retries,
    breakerFailures: settings.breakerFailures,
    breakerMs: settings.breakerSeconds * 1000,
    cacheMs: settings.cacheSeconds * 1000,
    cacheEntries: settings.cacheEntries,
  }
}

/** So long a transform may take for one document, ms. Twice that, all pipelines may stand still, once. */
const transformMs = 2_000

/** Throws a Failure of kind `configuration` where the file cannot be loaded or has no such function. */
export async function openTransform({ path }: TransformFile): Promise<Transformer> {
  let module: { readonly transform?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as typeof module
  } catch (cause) {
    const place = cause instanceof Error ? /^\S+:\d+$/m.exec(cause.stack ?? '')?.[0] : undefined
    throw new Failure('configuration', `the transform ${place ?? path} cannot be loaded: ${explain(cause)}`, {
      cause,
    })
  }
  if (typeof module.transform === 'function')
    return {
      path,
      transform: module.transform as Transform,
      within: (work) => within(transformMs, work),
    }
  throw new Failure('configuration', `${path} exports no function "transform"`, {
    remedy: 'export function transform(document) { ... }: the document as it is to be, or null for none',
  })
}
