/**
 * A module of the user's that writes. It exports
 *
 *   async function write({ index, uuid, operations }, { signal })   one result for each operation, in order
 *
 * and, where it can, `mark(index)` and `putMark(index, mark)`, `list(index, { after, source })`, `get(index, ids)` and
 * `close()`. An operation has the document as exact text under `json` and as a value under `document`, in which whole numbers
 * beyond 2^53 are bigints; what is listed has one of the two. Versions are bigints. What it throws is tried again, unless
 * the error has another `kind`.
 */
import { pathToFileURL } from 'node:url'
import { parseExact, textOfExact } from '../../change/exact-json.ts'
import { explain, Failure, type FailureKind } from '../../change/failure.ts'
import type { Throttle } from '../sink.ts'
import type {
  Service,
  ServiceDocument,
  ServiceMark,
  ServiceOperation,
  ServicePage,
  ServiceResult,
} from './service.ts'

export interface ModuleSettings {
  /** For messages. */
  readonly name: string
  /** A JavaScript or TypeScript file. */
  readonly path: string
  readonly timeoutMs: number
  /** The module counts as one node. */
  readonly throttle: Throttle
}

type GivenOperation = ServiceOperation & { readonly document: unknown }
type GivenDocument = ServiceDocument & { readonly document?: unknown }

interface Module {
  readonly write: (
    batch: { readonly index: string; readonly uuid: string; readonly operations: readonly GivenOperation[] },
    options: { readonly signal: AbortSignal },
  ) => Promise<readonly ServiceResult[]>
  readonly mark?: (index: string) => Promise<ServiceMark | undefined>
  readonly putMark?: (index: string, mark: ServiceMark) => Promise<void>
  readonly list?: (
    index: string,
    page: { readonly after: string | undefined; readonly source: boolean },
  ) => Promise<{ readonly documents: readonly GivenDocument[]; readonly next?: string }>
  readonly get?: (
    index: string,
    ids: readonly { readonly id: string; readonly routing: string | undefined }[],
  ) => Promise<readonly GivenDocument[]>
  readonly close?: () => Promise<void>
}

/** The file is loaded when it is first needed; the first call throws a Failure of kind `configuration` where it cannot be used. */
export class ModuleService implements Service {
  readonly #settings: ModuleSettings
  #loaded: Promise<Module> | undefined

  constructor(settings: ModuleSettings) {
    this.#settings = settings
  }

  async write(
    { index, uuid, operations }: Parameters<Service['write']>[0],
    signal: AbortSignal,
  ): Promise<readonly ServiceResult[]> {
    const { name: node, throttle } = this.#settings
    const given = operations.map(givenOperation)
    const results = await throttle.pass({ node, bytes: sizeOf(operations) }, signal, () =>
      this.#call(
        async (module, ending) => await module.write({ index, uuid, operations: given }, { signal: ending }),
        signal,
      ),
    )
    if (Array.isArray(results)) return results
    throw new Failure('transient', `write of the target ${this.#settings.name} gave no list of results`)
  }

  async mark(index: string): Promise<ServiceMark | undefined | 'unkept'> {
    return await this.#call(async ({ mark }) => (mark === undefined ? 'unkept' : await mark(index)))
  }

  async putMark(index: string, mark: ServiceMark): Promise<void> {
    await this.#call(async ({ putMark }) => await offered(putMark, 'putMark')(index, mark))
  }

  async list(index: string, page: Parameters<Service['list']>[1], signal: AbortSignal): Promise<ServicePage> {
    const { documents, next } = await this.#call(
      async ({ list }) => await offered(list, 'list')(index, page),
      signal,
    )
    return { documents: documents.map(documentOf), next }
  }

  async get(index: string, ids: Parameters<Service['get']>[1]): Promise<readonly ServiceDocument[]> {
    const found = await this.#call(async ({ get }) => await offered(get, 'get')(index, ids))
    return found.map(documentOf)
  }

  async close(): Promise<void> {
    const module = await this.#loaded?.catch(() => undefined)
    await module?.close?.()
  }

  /** Ends when the signal aborts, whether the module looks at it or not. */
  async #call<T>(
    use: (module: Module, ending: AbortSignal) => Promise<T>,
    signal: AbortSignal = untilAnswered,
  ): Promise<T> {
    const { name, timeoutMs } = this.#settings
    const module = await this.#module()
    // An abort from before is not told any more.
    signal.throwIfAborted()
    const ending = new AbortController()
    const ended = Promise.withResolvers<never>()
    const end = (): void => {
      ending.abort()
      const late = `the target ${name} did not answer within ${timeoutMs / 1000} s`
      ended.reject(new Failure('transient', late))
    }
    const timer = setTimeout(end, timeoutMs)
    signal.addEventListener('abort', end, { once: true })
    try {
      return await Promise.race([use(module, ending.signal), ended.promise])
    } catch (error) {
      signal.throwIfAborted()
      throw failureOf(name, error)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
    }
  }

  #module(): Promise<Module> {
    return (this.#loaded ??= load(this.#settings))
  }
}

const untilAnswered = new AbortController().signal

async function load({ name, path }: ModuleSettings): Promise<Module> {
  let module: Readonly<Record<string, unknown>>
  try {
    module = (await import(pathToFileURL(path).href)) as typeof module
  } catch (cause) {
    throw new Failure(
      'configuration',
      `the module ${path} of the target ${name} cannot be loaded: ${explain(cause)}`,
      { cause, remedy: `correct it, or the path in targets.${name}.module` },
    )
  }
  const wrong = ['write', 'mark', 'putMark', 'list', 'get', 'close'].filter(
    (each) => typeof module[each] !== 'function' && (each === 'write' || module[each] !== undefined),
  )
  if ((module['mark'] === undefined) !== (module['putMark'] === undefined))
    wrong.push('mark without putMark, or the other way round')
  if (wrong.length === 0) return module as unknown as Module
  const remedy =
    'export async function write({ index, uuid, operations }, { signal }) { ... }: one { status } for each operation, in order'
  throw new Failure(
    'configuration',
    `the module ${path} of the target ${name} has not the functions that it needs: ${wrong.join(', ')}`,
    { remedy },
  )
}

function offered<T>(method: T | undefined, name: string): T {
  if (method !== undefined) return method
  throw new Failure('configuration', `the module of the target exports no function "${name}"`, {
    remedy: `export it, or say lists: false under the target where it cannot list its documents`,
  })
}

function givenOperation(operation: ServiceOperation): GivenOperation {
  const { json } = operation
  return {
    ...operation,
    // Parsed only for those who want it.
    get document() {
      return json === undefined ? undefined : parseExact(json)
    },
  }
}

function sizeOf(operations: readonly ServiceOperation[]): number {
  return operations.reduce((sum, { id, json = '' }) => sum + id.length + Buffer.byteLength(json), 0)
}

function documentOf({ document, ...found }: GivenDocument): ServiceDocument {
  const json = found.json ?? textOfExact(document)
  return json === undefined ? found : { ...found, json }
}

function failureOf(name: string, error: unknown): Failure {
  if (error instanceof Failure) return error
  const kind = kinds.find((each) => each === (error as { readonly kind?: unknown } | null)?.kind)
  return new Failure(kind ?? 'transient', `the target ${name} failed: ${explain(error)}`, { cause: error })
}

const kinds: readonly FailureKind[] = ['transient', 'overload', 'rejected', 'target', 'unauthorised']
