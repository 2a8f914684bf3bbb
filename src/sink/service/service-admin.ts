/** What a service is as an index: nothing to make or to compare, but a mark by which it is known again. */
import { randomUUID } from 'node:crypto'
import { Failure } from '../../change/failure.ts'
import type { Store } from '../../store/store.ts'
import type { IndexAdmin, IndexMark, IndexState, StoredDocument } from '../sink.ts'
import type { Service, ServiceDocument, ServiceMark } from './service.ts'

export interface ServiceAdminOptions {
  readonly service: Service
  readonly index: string
  /** Whether the service lists its documents. Without that a sweep finds none. */
  readonly lists: boolean
  /** Where marks are kept that the service does not keep, under this name. */
  readonly store: Pick<Store, 'get' | 'put'>
  readonly name: string
}

export class ServiceAdmin implements IndexAdmin {
  readonly #options: ServiceAdminOptions

  constructor(options: ServiceAdminOptions) {
    this.#options = options
  }

  async inspect(): Promise<IndexState | undefined> {
    const found = await this.#mark()
    return found === undefined ? undefined : this.#state(found)
  }

  async create(mark: IndexMark): Promise<IndexState> {
    const made = { uuid: randomUUID(), ...mark }
    await this.#put(made)
    return this.#state(made)
  }

  /** What a document may hold is the service's own matter: it answers `rejected`. */
  async reconcile(): Promise<readonly string[]> {
    return []
  }

  async mark(mark: IndexMark): Promise<void> {
    const { uuid } = await this.#existing()
    await this.#put({ uuid, ...mark })
  }

  /** What a service has written, it shows. */
  async refresh(): Promise<void> {
    await this.#existing()
  }

  async *scan(
    { source }: { source: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredDocument[]> {
    const { service, index, lists } = this.#options
    await this.#existing()
    if (!lists) return
    let after: string | undefined
    do {
      const { documents, next } = await service.list(index, { after, source }, signal)
      if (documents.length > 0) yield documents.map(storedDocument)
      if (next !== undefined && next === after)
        throw new Failure('target', `the list of ${index} does not go on after ${JSON.stringify(next)}`)
      after = next
    } while (after !== undefined)
  }

  async get(ids: readonly { id: string; routing: string | undefined }[]): Promise<readonly StoredDocument[]> {
    const { service, index } = this.#options
    const found: StoredDocument[] = []
    for (let first = 0; first < ids.length; first += getCountMax) {
      const documents = await service.get(index, ids.slice(first, first + getCountMax))
      found.push(...documents.map(storedDocument))
    }
    return found
  }

  async #existing(): Promise<ServiceMark> {
    const found = await this.#mark()
    if (found !== undefined) return found
    throw new Failure('target', `${this.#options.index} is not there any more`, {
      remedy: 'restore it, or let the pipeline load it anew',
    })
  }

  async #mark(): Promise<ServiceMark | undefined> {
    const { service, index, store, name } = this.#options
    const kept = await service.mark(index)
    if (kept !== 'unkept') return kept
    const stored = await store.get(name)
    return stored === undefined ? undefined : (JSON.parse(stored.value) as ServiceMark)
  }

  async #put(mark: ServiceMark): Promise<void> {
    const { service, index, store, name } = this.#options
    if ((await service.mark(index)) !== 'unkept') return await service.putMark(index, mark)
    const { revision = 0 } = (await store.get(name)) ?? {}
    if ((await store.put(name, JSON.stringify(mark), revision)) === undefined)
      throw new Failure('conflict', `another process marks ${name} at this moment`)
  }

  #state({ uuid, pipeline, lineage, epoch }: ServiceMark): IndexState {
    // How many documents there are is not asked: only of an index without a mark would it matter.
    return { name: this.#options.index, uuid, documents: 0, mark: { pipeline, lineage, epoch } }
  }
}

const getCountMax = 1000

function storedDocument({ id, version, routing, json }: ServiceDocument): StoredDocument {
  return { id, version, routing, source: json }
}
