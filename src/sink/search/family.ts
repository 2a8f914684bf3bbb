/**
 * Several indexes behind one alias, one for each period of a date:
 *
 *   alias visits ──▶ visits-2026_10  visits-2026_11  visits-2026_12      template millrace-visits for visits-*
 *
 * All carry the number of their family in `_meta`. The template holds number and mark where there is no index yet.
 */
import { Failure } from '../../change/failure.ts'
import { membersOf, objectsOf } from '../../change/raw-json.ts'
import type { IndexMark } from '../sink.ts'
import type { AliasDefinition } from './alias.ts'
import { failureOf } from './outcomes.ts'
import type { Answer, Call, SearchClient } from './search-client.ts'

export interface FamilyPlace {
  readonly client: SearchClient
  readonly alias: string
  /** Before the period in the names of the indexes. */
  readonly prefix: string
  /** YYYY, MM and DD stand for digits. */
  readonly format: string
  /** So many periods are kept; undefined = all. */
  readonly keep: number | undefined
}

/** What `_meta.millrace` holds. */
export interface FamilyMark extends IndexMark {
  readonly family: string
}

export interface Member {
  readonly name: string
  /** undefined = millrace neither made nor adopted it. */
  readonly mark: FamilyMark | undefined
  /** What its mapping says of itself, the mark included. */
  readonly meta: Readonly<Record<string, unknown>>
  /** What stands beside the alias, such as a filter. */
  readonly aliased: AliasDefinition
  readonly gc_deletes?: string
}

/** The indexes behind the alias; none where no document was written yet. */
export async function membersOfFamily(
  { client, alias }: FamilyPlace,
  signal: AbortSignal = untilAnswered,
): Promise<readonly Member[]> {
  const path = `/${encodeURIComponent(alias)}`
  const answer = await client.send({ method: 'GET', path, query: memberQuery }, signal)
  if (answer.status === 404) return []
  if (answer.status !== 200) throw failureOf(answer, `looking at ${alias}`)
  const found = JSON.parse(answer.text) as Readonly<Record<string, FoundMember>>
  return Object.entries(found).map(([name, { aliases, mappings, settings }]) => {
    const meta = mappings?.['_meta'] ?? {}
    return { name, mark: meta.millrace, meta, aliased: aliases?.[alias] ?? {}, ...settings.index }
  })
}

const memberQuery = {
  filter_path: '*.aliases,*.mappings._meta,*.settings.index.uuid,*.settings.index.gc_deletes',
}

interface Mapped {
  readonly mappings?: { readonly _meta?: { readonly millrace?: FamilyMark } }
}

interface FoundMember extends Mapped {
  readonly aliases?: Readonly<Record<string, AliasDefinition>>
  readonly settings: { readonly index: { readonly gc_deletes?: string } }
}

/** What new indexes of a family are made from. */
export interface FamilyTemplate {
  readonly mark: FamilyMark | undefined
  /** Settings, mappings and alias, as an index is made with them. */
  readonly body: string
}

/** undefined = there is no such template. */
export async function templateOfFamily(
  { client, alias }: FamilyPlace,
  signal: AbortSignal = untilAnswered,
): Promise<FamilyTemplate | undefined> {
  const answer = await client.send({ method: 'GET', path: templatePath(alias) }, signal)
  if (answer.status === 404) return undefined
  if (answer.status !== 200) throw failureOf(answer, `looking at the template of ${alias}`)
  const [found] = objectsOf(membersOf(answer.text).get('index_templates') ?? '[]')
  const body = membersOf(found?.get('index_template') ?? '{}').get('template') ?? '{}'
  return { mark: (JSON.parse(body) as Mapped).mappings?.['_meta']?.millrace, body }
}

/** The mark that all of the indexes bear; undefined = there is none, or one of them bears another. */
export function markOfAll(members: readonly Member[]): FamilyMark | undefined {
  const marks = members.flatMap(({ mark }) => mark ?? [])
  // Those of a later epoch are still to be marked with it all together.
  const [oldest] = marks.toSorted((a, b) => a.epoch - b.epoch)
  const isOne = marks.length === members.length && marks.every(({ family }) => family === oldest?.family)
  return isOne ? oldest : undefined
}

export function templatePath(alias: string): string {
  return `/_index_template/millrace-${encodeURIComponent(alias)}`
}

/**
 * Makes the index of a period; that another has made it meanwhile is as good. The template's words are said again: should
 * it be deleted in this moment, no index without mapping and alias comes of it.
 */
export async function makeMember(
  { client, alias }: FamilyPlace,
  { name, body }: { readonly name: string; readonly body: string },
  signal: AbortSignal,
): Promise<void> {
  const call: Call = { method: 'PUT', path: `/${encodeURIComponent(name)}`, body }
  const answer = await client.send(call, signal)
  if (answer.status === 200 || isTaken(answer)) return
  throw failureOf(answer, `making ${name} of ${alias}`)
}

function isTaken({ text }: Answer): boolean {
  return text.includes('resource_already_exists_exception')
}

export async function dropMember(
  { client, alias }: FamilyPlace,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const answer = await client.send({ method: 'DELETE', path: `/${encodeURIComponent(name)}` }, signal)
  if (answer.status !== 200 && answer.status !== 404) throw failureOf(answer, `dropping ${name} of ${alias}`)
}

/** Whether an index is of a period that is not kept any more. */
export function isExpired(
  { prefix, format, keep }: Pick<FamilyPlace, 'prefix' | 'format' | 'keep'>,
  name: string,
  nowMs: number,
): boolean {
  if (keep === undefined || !name.startsWith(prefix)) return false
  const period = name.slice(prefix.length)
  const oldest = periodBefore(format, keep - 1, nowMs)
  // What has no date, or no name of ours, has no age.
  return period.length === oldest.length && /^\d{4}/.test(period) && period < oldest
}

function periodBefore(format: string, periods: number, nowMs: number): string {
  const now = new Date(nowMs)
  let [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
  if (format.includes('DD')) day -= periods
  else if (format.includes('MM')) [month, day] = [month - periods, 1]
  else [year, month, day] = [year - periods, 0, 1]
  const [, years = '', months = '', days = ''] =
    /^(\d{4})-(\d\d)-(\d\d)/.exec(new Date(Date.UTC(year, month, day)).toISOString()) ?? []
  return format.replace('YYYY', years).replace('MM', months).replace('DD', days)
}

/** Whether an index has the name of one of the periods. */
export function isNamedAsMember(
  { prefix, format }: Pick<FamilyPlace, 'prefix' | 'format'>,
  name: string,
): boolean {
  const period = name.startsWith(prefix) ? name.slice(prefix.length) : ''
  return period === 'undated' || period.replaceAll(/\d/g, '9') === format.replaceAll(/[YMD]/g, '9')
}

/** Throws where what is behind the alias, or the template, is not of the family. */
export function assertFamily(
  { alias }: Pick<FamilyPlace, 'alias'>,
  uuid: string,
  found: { readonly template: FamilyTemplate | undefined; readonly members: readonly Member[] },
): void {
  const strangers = found.members.filter(({ mark }) => mark?.family !== uuid).map(({ name }) => name)
  if (strangers.length > 0)
    throw new Failure(
      'target',
      `behind ${alias} are indexes that were not filled by this pipeline: ${strangers.join(', ')}`,
      { remedy: 'take them from behind the alias: what the table lacks would be deleted from them, too' },
    )
  if (found.template === undefined)
    throw new Failure('target', `the template for new indexes of ${alias} is gone`, {
      remedy: 'it is put again within seconds',
    })
  if (found.template.mark?.family !== uuid)
    throw new Failure('target', `${alias} is not the family of indexes that was filled`, {
      remedy: 'restore its indexes and its template, or let the pipeline load them anew',
    })
}

/** Throws where one of these indexes is not behind the alias: what is written there is found by nobody. */
export function assertBehind(
  { alias }: Pick<FamilyPlace, 'alias'>,
  members: ReadonlySet<string>,
  names: readonly string[],
): void {
  const apart = names.filter((name) => !members.has(name))
  if (apart.length > 0)
    throw new Failure('target', `${apart.join(', ')}: there, but not behind ${alias}`, {
      remedy: 'delete it: it is made anew as it is to be',
    })
}

/** Short calls end by the client's own limit. */
const untilAnswered = new AbortController().signal
