/** The indexes of a family, behind their alias: defined by a template, compared, marked and read as one. */
import { randomUUID } from 'node:crypto'
import { Failure } from '../../change/failure.ts'
import type { IndexAdmin, IndexMark, IndexState, ScanOptions, StoredDocument } from '../sink.ts'
import { assertPlainAlias } from './alias.ts'
import {
  isNamedAsMember,
  markOfAll,
  membersOfFamily,
  templateOfFamily,
  templatePath,
  type FamilyMark,
  type FamilyPlace,
} from './family.ts'
import { creationFailure } from './index-admin.ts'
import { templateOf, type IndexWishes } from './index-definition.ts'
import type { ExistingMapping } from './mapping-difference.ts'
import { assertRefreshed, failureOf } from './outcomes.ts'
import { scan } from './scan.ts'
import { findByIds, searchByIds } from './strays.ts'
import { WantedIndex } from './wanted-index.ts'

export class FamilyIndex implements IndexAdmin {
  readonly #place: FamilyPlace
  readonly #wanted: WantedIndex
  /** The number of the family that indexes of others become when they are adopted. */
  readonly #adopted = randomUUID()

  /** Throws a Failure of kind `configuration` when the wishes contradict each other. */
  constructor(place: FamilyPlace, wishes: IndexWishes) {
    this.#place = place
    this.#wanted = new WantedIndex(place.client, wishes)
  }

  async inspect(): Promise<IndexState | undefined> {
    const template = await templateOfFamily(this.#place)
    if (template?.mark !== undefined) return await this.#state(template.mark.family, template.mark)
    const found = await membersOfFamily(this.#place)
    if (found.length === 0) return undefined
    const mark = markOfAll(found)
    if (mark !== undefined) return { ...(await this.#state(mark.family, mark)), lacksTemplate: true }
    this.#checkStrangers(found)
    return await this.#state(this.#adopted, undefined)
  }

  async create(mark: IndexMark): Promise<IndexState> {
    const made = { ...mark, family: randomUUID() }
    await this.#putTemplate(made)
    return await this.#state(made.family, made)
  }

  async reconcile(): Promise<readonly string[]> {
    const members = await membersOfFamily(this.#place)
    const mark = (await this.#mark()) ?? markOfAll(members)
    if (mark !== undefined) await this.#putTemplate(mark)
    const sentences = new Set<string>()
    for (const { name, ...settings } of members) {
      const text = (await this.#ask('GET', `/${encodeURIComponent(name)}/_mapping`)) ?? '{}'
      const found = JSON.parse(text) as Readonly<Record<string, { readonly mappings: ExistingMapping }>>
      for (const each of await this.#wanted.reconcile(name, found[name]?.mappings ?? {})) sentences.add(each)
      await this.#wanted.rememberDeletes(name, settings)
    }
    return [...sentences]
  }

  async mark(mark: IndexMark): Promise<void> {
    const known = await this.#mark()
    const marked = { ...mark, family: known?.family ?? this.#adopted }
    if (known !== undefined) await this.#putTemplate(marked)
    for (const { name, meta } of await membersOfFamily(this.#place)) {
      const answer = await this.#wanted.putMapping(name, { _meta: { ...meta, millrace: marked } })
      if (answer.status !== 200) throw failureOf(answer, `marking ${name}`)
    }
    // Indexes of others are adopted when all of them are marked: a crash before that leaves them others'.
    if (known === undefined) await this.#putTemplate(marked)
  }

  /** Indexes that others made may be adopted where each is one of the periods. */
  #checkStrangers(found: Awaited<ReturnType<typeof membersOfFamily>>): void {
    const { alias, prefix, format } = this.#place
    const others = found.filter(({ name }) => !isNamedAsMember(this.#place, name))
    if (others.length > 0)
      throw new Failure(
        'target',
        `${alias} stands for ${others.map(({ name }) => name).join(', ')}, which has no name like ${prefix}${format}`,
        { remedy: `take it from behind the alias ${alias}, or give the pipeline another target.index` },
      )
    for (const { aliased } of found) assertPlainAlias(alias, aliased)
  }

  async refresh(): Promise<void> {
    await this.#existing()
    const text = await this.#ask('POST', `/${encodeURIComponent(this.#place.alias)}/_refresh`)
    if (text !== undefined) assertRefreshed(text, this.#place.alias)
  }

  async *scan(options: ScanOptions, signal: AbortSignal): AsyncGenerator<readonly StoredDocument[]> {
    await this.#existing()
    if ((await membersOfFamily(this.#place, signal)).length === 0) return
    yield* scan(this.#place.client, { ...options, place: this.#place.alias, tellsIndex: true }, signal)
  }

  async found(id: string): Promise<StoredDocument | undefined> {
    if ((await membersOfFamily(this.#place)).length === 0) return undefined
    return (await searchByIds({ ...this.#place, isFamily: true }, [id], untilAnswered, true))[0]
  }

  async get(ids: readonly { readonly id: string }[]): Promise<readonly StoredDocument[]> {
    if ((await membersOfFamily(this.#place)).length === 0) return []
    const wanted = ids.map(({ id }) => id)
    return await findByIds({ ...this.#place, isFamily: true }, wanted, untilAnswered, true)
  }

  async #mark(): Promise<FamilyMark | undefined> {
    return (await templateOfFamily(this.#place))?.mark
  }

  async #existing(): Promise<void> {
    if ((await this.#mark()) !== undefined) return
    throw new Failure('target', `there is no template for the indexes of ${this.#place.alias}`, {
      remedy: 'restore it, or let the pipeline load them anew',
    })
  }

  async #putTemplate(mark: FamilyMark): Promise<void> {
    const { client, alias, prefix } = this.#place
    const answer = await this.#wanted.withKnownTypes(async (definition) => {
      const body = templateOf(definition, { alias, pattern: `${prefix}*`, mark })
      return await client.send({ method: 'PUT', path: templatePath(alias), body }, untilAnswered)
    })
    if (answer.status !== 200) throw creationFailure(answer, `the template of ${alias}`)
  }

  async #state(family: string, mark: FamilyMark | undefined): Promise<IndexState> {
    const { alias, prefix } = this.#place
    const text = await this.#ask('GET', `/${encodeURIComponent(alias)}/_count`)
    const { count: documents } = JSON.parse(text ?? '{"count":0}') as { readonly count: number }
    return { name: `${prefix}*`, uuid: family, documents, mark: mark === undefined ? undefined : plain(mark) }
  }

  /** undefined = nothing is behind the alias yet. */
  async #ask(method: 'GET' | 'POST', path: string): Promise<string | undefined> {
    const answer = await this.#place.client.send({ method, path }, untilAnswered)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw failureOf(answer, `reading ${this.#place.alias}`)
    return answer.text
  }
}

function plain({ pipeline, lineage, epoch }: FamilyMark): IndexMark {
  return { pipeline, lineage, epoch }
}

/** Short calls end by the client's own limit. */
const untilAnswered = new AbortController().signal
