/** The index behind an alias: made, compared, marked and read. */
import { Failure } from '../../change/failure.ts'
import type {
  IndexAdmin,
  IndexMark,
  IndexState,
  ListedIndex,
  Operation,
  Outcome,
  ScanOptions,
  StoredDocument,
} from '../sink.ts'
import { assertPlainAlias, type AliasDefinition } from './alias.ts'
import { creationOf, type IndexWishes } from './index-definition.ts'
import type { ExistingMapping } from './mapping-difference.ts'
import { assertRefreshed, failureOf } from './outcomes.ts'
import { membersOf, objectsOf } from '../../change/raw-json.ts'
import { documentOf, scan } from './scan.ts'
import type { Answer, Call, SearchClient } from './search-client.ts'
import { simulate } from './simulation.ts'
import { searchByIds } from './strays.ts'
import { WantedIndex } from './wanted-index.ts'

export interface SearchIndexOptions {
  readonly client: SearchClient
  readonly alias: string
  readonly wishes: IndexWishes
}

export class SearchIndex implements IndexAdmin {
  readonly #client: SearchClient
  readonly #alias: string
  readonly #path: string
  readonly #wanted: WantedIndex

  /** Throws a Failure of kind `configuration` when the wishes contradict each other. */
  constructor({ client, alias, wishes }: SearchIndexOptions) {
    this.#client = client
    this.#alias = alias
    this.#path = `/${encodeURIComponent(alias)}`
    this.#wanted = new WantedIndex(client, wishes)
  }

  async inspect(): Promise<IndexState | undefined> {
    const found = await this.#find()
    return found === undefined ? undefined : await this.#state(found)
  }

  async uuidOf(name: string): Promise<string | undefined> {
    const path = `/${encodeURIComponent(name)}/_settings`
    const answer = await this.#send({ method: 'GET', path })
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw failureOf(answer, `looking at ${name}`)
    const indexes = JSON.parse(answer.text) as Readonly<Record<string, Pick<FoundIndex, 'settings'>>>
    return indexes[name]?.settings.index.uuid
  }

  async create(mark: IndexMark): Promise<IndexState> {
    await this.#removeHusk()
    for (let attempt = 1; ; attempt++) {
      const name = await this.#freeName()
      const answer = await this.#wanted.withKnownTypes(
        async (definition) =>
          await this.#send({
            method: 'PUT',
            path: `/${encodeURIComponent(name)}`,
            body: creationOf(definition, this.#alias, mark),
          }),
      )
      if (answer.status === 200) break
      const taken = answer.text.includes('resource_already_exists_exception')
      if (!taken || attempt === creationsMax) throw creationFailure(answer, name)
    }
    return await this.#state(await this.#existing())
  }

  async reconcile(): Promise<readonly string[]> {
    const { name, mappings, settings } = await this.#existing()
    const found = await this.#wanted.reconcile(name, mappings)
    await this.#wanted.rememberDeletes(name, settings.index)
    return found
  }

  async simulate(
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<readonly Outcome[] | undefined> {
    const { simulates } = await this.#client.dialect(signal)
    const found = simulates ? await this.#find() : undefined
    if (found === undefined) return undefined
    const missing = await this.#wanted.missing(found.mappings)
    return await simulate(this.#client, { alias: this.#alias, missing, operations }, signal)
  }

  async mark(mark: IndexMark): Promise<void> {
    const { name, mappings } = await this.#existing()
    const answer = await this.#wanted.putMapping(name, { _meta: { ...mappings['_meta'], millrace: mark } })
    if (answer.status !== 200) throw failureOf(answer, `marking ${name}`)
  }

  async refresh(): Promise<void> {
    await this.#refresh(this.#alias)
  }

  named(name: string): ListedIndex {
    return {
      refresh: async () => await this.#refresh(name),
      scan: (options, signal) => scan(this.#client, { ...options, place: name, tellsIndex: true }, signal),
    }
  }

  async *scan(options: ScanOptions, signal: AbortSignal): AsyncIterable<readonly StoredDocument[]> {
    yield* scan(this.#client, { ...options, place: this.#alias }, signal)
  }

  async found(id: string): Promise<StoredDocument | undefined> {
    const place = { client: this.#client, alias: this.#alias }
    return (await searchByIds(place, [id], untilAnswered, true))[0]
  }

  async get(ids: readonly { id: string; routing: string | undefined }[]): Promise<readonly StoredDocument[]> {
    const documents: StoredDocument[] = []
    for (let first = 0; first < ids.length; first += getCountMax) {
      const docs = ids
        .slice(first, first + getCountMax)
        .map(({ id, routing }) => (routing === undefined ? { _id: id } : { _id: id, routing }))
      const call: Call = { method: 'POST', path: `${this.#path}/_mget`, body: JSON.stringify({ docs }) }
      const answer = await this.#succeed(call, 'reading')
      for (const found of objectsOf(membersOf(answer.text).get('docs') ?? '[]')) {
        const error = found.get('error')
        if (error !== undefined)
          throw failureOf({ status: 404, text: `{"error":${error}}` }, `reading ${this.#alias}`)
        if (found.get('found') === 'true') documents.push(documentOf(found))
      }
    }
    return documents
  }

  /** The one index behind the alias; undefined = there is none. Throws when the alias cannot be written through. */
  async #find(): Promise<FoundIndex | undefined> {
    const answer = await this.#send({ method: 'GET', path: this.#path })
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw failureOf(answer, `looking at ${this.#alias}`)
    const indexes = JSON.parse(answer.text) as Readonly<Record<string, Omit<FoundIndex, 'name'>>>
    const names = Object.keys(indexes)
    const [name] = names
    const found = name === undefined ? undefined : indexes[name]
    if (name === undefined || found === undefined) return undefined
    if (await this.#isHusk(name, found)) return undefined
    this.#checkAlias(names, found)
    return { ...found, name }
  }

  /** What a delete leaves that came just after the index was deleted: an index of the alias's name with nothing in it. */
  async #isHusk(name: string, { mappings, aliases = {} }: Omit<FoundIndex, 'name'>): Promise<boolean> {
    if (name !== this.#alias || Object.keys({ ...mappings, ...aliases }).length > 0) return false
    return (await this.#count()) === 0
  }

  async #count(): Promise<number> {
    const answer = await this.#succeed({ method: 'GET', path: `${this.#path}/_count` }, 'counting')
    return (JSON.parse(answer.text) as { readonly count: number }).count
  }

  /** Makes room for the alias. */
  async #removeHusk(): Promise<void> {
    const answer = await this.#send({ method: 'GET', path: this.#path })
    if (answer.status === 404) return
    const found = (JSON.parse(answer.text) as Readonly<Record<string, Omit<FoundIndex, 'name'>>>)[this.#alias]
    if (found === undefined || !(await this.#isHusk(this.#alias, found))) return
    await this.#succeed({ method: 'DELETE', path: this.#path }, 'removing the empty index')
  }

  #checkAlias(names: readonly string[], found: Omit<FoundIndex, 'name'>): void {
    const alias = this.#alias
    if (names.includes(alias))
      throw new Failure('target', `${alias} is an index, not an alias`, {
        remedy: `give the pipeline another target.index, or delete or reindex the index ${alias} first`,
      })
    if (names.length > 1)
      throw new Failure('target', `the alias ${alias} points at several indexes: ${names.join(', ')}`, {
        remedy: 'let it point at one, or give the pipeline another target.index',
      })
    assertPlainAlias(alias, found.aliases?.[alias] ?? {})
  }

  async #existing(): Promise<FoundIndex> {
    const found = await this.#find()
    if (found !== undefined) return found
    throw new Failure('target', `there is no index behind ${this.#alias}`, {
      remedy: 'restore the index and its alias, or let the pipeline load it anew',
    })
  }

  async #state({ name, settings, mappings }: FoundIndex): Promise<IndexState> {
    return {
      name,
      uuid: settings.index.uuid,
      documents: await this.#count(),
      mark: markOf(mappings['_meta']?.['millrace']),
    }
  }

  async #refresh(name: string): Promise<void> {
    const path = `/${encodeURIComponent(name)}/_refresh`
    const { text } = await this.#succeed({ method: 'POST', path }, 'refreshing')
    assertRefreshed(text, this.#alias)
  }

  /** The next number that no index of this alias has had, among those that exist. */
  async #freeName(): Promise<string> {
    const answer = await this.#succeed(
      {
        method: 'GET',
        path: `${this.#path}-*/_settings`,
        query: { expand_wildcards: 'all', filter_path: '*.settings.index.uuid' },
      },
      'listing the indexes of',
    )
    const prefix = `${this.#alias}-`
    const numbers = Object.keys(JSON.parse(answer.text) as object)
      .map((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : ''))
      .filter((rest) => /^\d{6}$/.test(rest))
    return prefix + String(Math.max(0, ...numbers.map(Number)) + 1).padStart(6, '0')
  }

  async #succeed(call: Call, doing: string, signal: AbortSignal = untilAnswered): Promise<Answer> {
    const answer = await this.#send(call, signal)
    if (answer.status < 200 || answer.status > 299) throw failureOf(answer, `${doing} ${this.#alias}`)
    return answer
  }

  async #send(call: Call, signal: AbortSignal = untilAnswered): Promise<Answer> {
    return await this.#client.send(call, signal)
  }
}

interface FoundIndex {
  readonly name: string
  readonly aliases?: Readonly<Record<string, AliasDefinition>>
  readonly mappings: ExistingMapping & { readonly _meta?: Readonly<Record<string, unknown>> }
  readonly settings: { readonly index: { readonly uuid: string; readonly gc_deletes?: string } }
}

/** Short calls end by the client's own limit. */
const untilAnswered = new AbortController().signal
const creationsMax = 5
const getCountMax = 1000

function markOf(found: unknown): IndexMark | undefined {
  if (typeof found !== 'object' || found === null) return undefined
  const { pipeline, lineage, epoch } = found as Readonly<Record<string, unknown>>
  if (typeof pipeline !== 'string' || typeof lineage !== 'string' || typeof epoch !== 'number')
    return undefined
  return { pipeline, lineage, epoch }
}

/** What the server refuses at creation is what the pipeline file asks for. */
export function creationFailure(answer: Answer, name: string): Failure {
  const failure = failureOf(answer, `creating ${name}`)
  if (answer.status !== 400) return failure
  const remedy = 'correct settings and mappings in the pipeline file, or remove what holds the name'
  return new Failure('configuration', failure.message, { remedy })
}
