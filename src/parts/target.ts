/** Targets by name: what a pipeline fills, whatever it is. The one place that knows which kinds there are. */
import { Failure } from '../change/failure.ts'
import type { Configuration } from '../config/load.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import type { TargetSettings } from '../config/schema.ts'
import type { Shape } from '../document/definition.ts'
import { dataNodesOf, examineSearch, examineService } from './examine.ts'
import { openStore } from '../opening/store.ts'
import { connectPlain, connectTarget } from '../opening/search.ts'
import { HttpService, textOfOperation } from '../sink/service/http-service.ts'
import { ModuleService } from '../sink/service/module-service.ts'
import { ServiceAdmin } from '../sink/service/service-admin.ts'
import { serviceOperation, ServiceSink } from '../sink/service/service-sink.ts'
import type { Service } from '../sink/service/service.ts'
import { bulkRequest } from '../sink/search/bulk-call.ts'
import { FamilyIndex } from '../sink/search/family-index.ts'
import { FamilySink } from '../sink/search/family-sink.ts'
import { SearchIndex } from '../sink/search/index-admin.ts'
import type { IndexChild } from '../sink/search/index-definition.ts'
import { SearchSink } from '../sink/search/search-sink.ts'
import {
  unlimited,
  type IndexAdmin,
  type IndexState,
  type Operation,
  type Sink,
  type Throttle,
} from '../sink/sink.ts'
import type { Finding } from '../source/source.ts'
import { systemClock } from '../system-clock.ts'
import type { Store } from '../store/store.ts'
import { indexWishes } from './index-wishes.ts'

export interface Target {
  /** Whether its documents can be read: otherwise nothing is swept, and nothing can be verified. */
  readonly lists: boolean
  /** The index that holds a pipeline's documents of these fields. */
  index(pipeline: Pipeline, fields: Shape['fields'], children: readonly IndexChild[]): IndexAdmin
  /** A sink that writes to this very index, in requests of at most so many bytes. */
  sink(pipeline: Pipeline, index: IndexState, bytesMax: number): Sink
  /** How an operation is sent: the call, then the lines of its body that are the operation's. */
  request(pipeline: Pipeline, operation: Operation): readonly string[]
  /** Deletes an index that was made to try something out; undefined = nothing is tried out there. */
  readonly discard: ((index: IndexState) => Promise<void>) | undefined
  /** How many nodes hold documents; undefined = it does not say. Never throws for a bad one. */
  dataNodes(): Promise<number | undefined>
  /** What doctor says of it. Never throws for a bad one. */
  examine(pipeline: Pipeline): Promise<readonly Finding[]>
  close(): Promise<void>
}

/** Nothing is sent before the first call. What is written keeps to the throttle. Throws a Failure of kind `configuration`. */
export function openTarget(
  configuration: Configuration,
  name: string,
  throttle: Throttle = unlimited,
): Target {
  const settings = configuration.settings.targets[name]
  if (settings === undefined) throw new Failure('configuration', `there is no target ${name}`)
  if (settings.kind === 'http' || settings.kind === 'module')
    return serviceTarget(configuration, { name, settings, throttle })
  const client = connectTarget(configuration, name, throttle)
  return {
    lists: true,
    index: (pipeline, fields, children) => {
      const { index: alias, family } = pipeline.target
      const wishes = { ...indexWishes(pipeline, fields), children }
      if (family !== undefined) return new FamilyIndex({ client, alias, ...family }, wishes)
      return new SearchIndex({ client, alias, wishes })
    },
    sink: ({ target: { index: alias, family } }, index, bulkBytesMax) => {
      if (family === undefined) return new SearchSink({ client, alias, index, bulkBytesMax })
      const place = { client, alias, ...family }
      return new FamilySink({ place, uuid: index.uuid, bulkBytesMax, clock: systemClock })
    },
    request: ({ target: { index: alias, family } }, operation) =>
      bulkRequest(alias, family !== undefined, operation),
    discard: async ({ name: index }) => {
      if (index.includes('*')) throw new Error(`${index} is more than one index`)
      await client.send(
        { method: 'DELETE', path: `/${encodeURIComponent(index)}` },
        AbortSignal.timeout(discardMs),
      )
    },
    dataNodes: () => dataNodesOf(client),
    examine: async ({ target }) => [
      ...(await examineSearch(client, { name, alias: target.index })),
      ...tagsOf(name, settings),
    ],
    close: () => client.close(),
  }
}

const discardMs = 30_000

interface ServicePlace {
  readonly name: string
  readonly settings: TargetSettings
  readonly throttle: Throttle
}

function serviceTarget(configuration: Configuration, place: ServicePlace): Target {
  const { name, settings } = place
  const service = serviceOf(configuration, place)
  let store: Store | undefined
  const marks: Pick<Store, 'get' | 'put'> = {
    get: async (each) => await (store ??= openStore(configuration)).get(each),
    put: async (...given) => await (store ??= openStore(configuration)).put(...given),
  }
  return {
    lists: settings.lists,
    index: (pipeline) =>
      new ServiceAdmin({
        service,
        index: pipeline.target.index,
        lists: settings.lists,
        store: marks,
        name: `mark/${groupOf(pipeline)}`,
      }),
    sink: ({ target }, { uuid }, batchBytesMax) =>
      new ServiceSink({ service, index: target.index, uuid, batchBytesMax }),
    request: (_pipeline, operation) => [
      settings.kind === 'http' ? 'POST /write' : 'write(...)',
      textOfOperation(serviceOperation(operation)),
    ],
    discard: undefined,
    dataNodes: () => Promise.resolve(undefined),
    examine: async ({ target }) => [
      ...(await examineService(service, { name, index: target.index })),
      ...tagsOf(name, settings),
    ],
    close: async () => {
      await service.close()
      await store?.close()
    },
  }
}

function serviceOf(configuration: Configuration, { name, settings, throttle }: ServicePlace): Service {
  if (settings.kind === 'http') return new HttpService(connectPlain(configuration, name, throttle))
  const { module: path, requestTimeoutSeconds } = settings
  if (path === undefined) throw new Failure('configuration', `targets.${name}.module is missing`)
  return new ModuleService({ name, path, timeoutMs: requestTimeoutSeconds * 1000, throttle })
}

function tagsOf(name: string, { tags }: TargetSettings): readonly Finding[] {
  return tags.length === 0 ? [] : [{ level: 'ok', fact: `tags of ${name}`, found: tags.join(', ') }]
}
