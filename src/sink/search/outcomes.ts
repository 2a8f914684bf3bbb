/** What the server's words mean: one table for the items of a bulk answer and for whole answers. */
import { Failure, type FailureKind } from '../../change/failure.ts'
import type { List } from '../../change/list.ts'
import type { Operation, Outcome } from '../sink.ts'
import type { Answer } from './search-client.ts'

/** An error as the server tells it. */
interface ServerError {
  readonly type: string
  readonly reason: string
  readonly cause: string
}

type Verdict =
  | 'stale'
  | 'unknown'
  | Extract<FailureKind, 'rejected' | 'overload' | 'transient' | 'target' | 'unauthorised'>

interface Rule {
  readonly status?: (status: number) => boolean
  readonly type?: RegExp
  /** Of the reason, or of its cause. */
  readonly reason?: RegExp
  readonly verdict: Verdict
  readonly remedy?: string
}

const is =
  (...statuses: readonly number[]) =>
  (status: number): boolean =>
    statuses.includes(status)

/** The first rule that holds decides. */
const rules: readonly Rule[] = [
  {
    status: is(401),
    verdict: 'unauthorised',
    remedy: "correct the credentials under the target's auth",
  },
  {
    type: /^security_exception$/,
    verdict: 'unauthorised',
    remedy:
      'grant the user monitor on the cluster and all on the alias and the indexes behind it (ALIAS, ALIAS-*)',
  },
  { type: /^cluster_block_exception$/, reason: /SERVICE_UNAVAILABLE|no master/, verdict: 'transient' },
  {
    type: /^cluster_block_exception$/,
    reason: /flood.?stage|read-only-allow-delete/,
    verdict: 'target',
    remedy:
      'free disk space on the data nodes; the block then goes by itself (or set index.blocks.read_only_allow_delete to null)',
  },
  {
    type: /^cluster_block_exception$/,
    verdict: 'target',
    remedy: 'remove the block: PUT INDEX/_settings {"index.blocks.write":null,"index.blocks.read_only":null}',
  },
  {
    type: /^index_not_found_exception$|^alias_not_found/,
    verdict: 'target',
    remedy: 'restore the index and its alias, or let the pipeline load it anew',
  },
  { type: /^index_closed_exception$/, verdict: 'target', remedy: 'open the index: POST INDEX/_open' },
  {
    reason: /limit of (total fields|mapping depth|nested fields|nested documents).*exceeded/i,
    verdict: 'target',
    remedy: 'raise the limit in the settings of the index (index.mapping.*.limit), or map fewer fields',
  },
  {
    reason: /no write index is defined|is not an alias|more than one ind(ex|ices)|multiple indices/,
    verdict: 'target',
    remedy: 'let the alias point at one index',
  },
  {
    type: /^(unavailable_shards|no_shard_available_action|primary_missing_action)_exception$/,
    verdict: 'target',
    remedy:
      'wait until the primary shards are allocated: GET _cluster/allocation/explain says what holds them up',
  },
  { type: /^version_conflict_engine_exception$/, status: is(409), verdict: 'stale' },
  { type: /^(es_rejected_execution|circuit_breaking)_exception$/, verdict: 'overload' },
  { status: is(429), verdict: 'overload' },
  {
    reason: /no space left on device/i,
    verdict: 'target',
    remedy: 'free disk space on the data nodes',
  },
  { type: /timeout|timed_out/, verdict: 'transient' },
  {
    type: /^(node_closed|already_closed|engine_closed|translog|i_o|.*_transport|node_.*connected|shard_not_.*|index_shard_.*|recovery_.*|process_cluster_event_.*)_exception$/,
    verdict: 'transient',
  },
  { status: is(500), verdict: 'unknown' },
  { status: (status) => status === 408 || status > 500, verdict: 'transient' },
  { status: is(403), verdict: 'target', remedy: 'find out in the message what forbids it' },
  { status: is(404), verdict: 'target', remedy: 'check the address of the target and that the index exists' },
  { status: () => true, verdict: 'rejected' },
]

function judge(status: number, error: ServerError): Rule {
  const rule = rules.find(
    (each) =>
      (each.status?.(status) ?? true) &&
      (each.type?.test(error.type) ?? true) &&
      (each.reason === undefined || each.reason.test(error.reason) || each.reason.test(error.cause)),
  )
  if (rule === undefined) throw new Error('the last rule holds always')
  return rule
}

export interface BulkReading {
  readonly outcomes: readonly Outcome[]
  /** A delete found nothing: the document was not there, or the index is not the one it was. */
  readonly missed: boolean
}

/** Where a bulk request was meant to go. */
export interface BulkPlace {
  readonly alias: string
  /** The name of what is behind the alias; undefined = each operation names its index. */
  readonly index: string | undefined
}

const applied: Outcome = { kind: 'applied' }

/**
 * The outcomes of one bulk request, with so many deletes, that was answered with 200. Throws a Failure when an item says that the target itself
 * is in trouble or that it went to another index, or when the answer is not one for these operations.
 */
export function readBulk(
  text: string,
  operations: List<Operation>,
  place: BulkPlace,
  deletes = deletesAmong(operations),
): BulkReading {
  const { alias } = place
  if (isAllApplied(text, { operations: operations.length, deletes }, place)) {
    return {
      outcomes: Array.from({ length: operations.length }, () => applied),
      missed: text.includes('"status":404'),
    }
  }
  const items = parseBulk(text)
  if (items.length !== operations.length)
    throw new Failure('transient', `${alias}: ${items.length} items answer ${operations.length} operations`)
  const outcomes = items.map((item, at) => outcomeOf(item, operations.at(at), place))
  return { outcomes, missed: items.some((item) => item.status === 404) }
}

/**
 * Whether an answer without errors has an item of this index for each operation: then all were applied. Each item is as long
 * as every other of its kind, so that the length alone tells how many there are, and nothing need be parsed.
 */
function isAllApplied(
  text: string,
  { operations, deletes }: { readonly operations: number; readonly deletes: number },
  { index }: BulkPlace,
): boolean {
  if (!text.startsWith(allAppliedStart) || !text.endsWith(allAppliedEnd)) return false
  const named = index === undefined ? '' : `"_index":${JSON.stringify(index)},`
  const items =
    (operations - deletes) * indexItem.length + deletes * deleteItem.length + operations * named.length
  if (text.length !== allAppliedStart.length + items + operations - 1 + allAppliedEnd.length) return false
  return named === '' || timesIn(text, named) === operations
}

function timesIn(text: string, part: string): number {
  let times = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) times++
  return times
}

function deletesAmong(operations: List<Operation>): number {
  let deletes = 0
  for (const { op } of operations) if (op === 'delete') deletes++
  return deletes
}

const allAppliedStart = '{"errors":false,"items":['
const allAppliedEnd = ']}'
const indexItem = '{"index":{"status":200}}'
const deleteItem = '{"delete":{"status":200}}'

interface BulkItem {
  readonly status: number
  readonly error: unknown
  /** The name of the index that it went to, where that was asked for. */
  readonly index: string | undefined
}

type ToldItem = Partial<Omit<BulkItem, 'index'>> & { readonly _index?: string }

function parseBulk(text: string): readonly BulkItem[] {
  try {
    const answer = JSON.parse(text) as { readonly items?: readonly Readonly<Record<string, ToldItem>>[] }
    return (answer.items ?? []).map((item) => {
      const [result] = Object.values(item)
      return { status: result?.status ?? 0, error: result?.error, index: result?.['_index'] }
    })
  } catch (error) {
    throw new Failure('transient', 'the answer to a bulk request is not whole JSON', { cause: error })
  }
}

function outcomeOf(item: BulkItem, operation: Operation | undefined, place: BulkPlace): Outcome {
  if (isApplied(item, operation)) {
    assertArrived(item.index, place)
    return applied
  }
  const error = serverError(item.error)
  const rule = judge(item.status, error)
  switch (rule.verdict) {
    case 'stale':
      assertArrived(refusedBy(item, place), place)
      return { kind: 'stale', stored: storedVersion(error.reason) }
    case 'rejected':
      assertArrived(refusedBy(item, place), place)
      return rejected(error)
    case 'unknown':
      return { ...rejected(error), kind: 'unknown' }
    case 'overload':
    case 'transient':
      return { kind: 'busy', reason: sentence(error) }
    default:
      throw failure(rule, `${place.alias}: ${sentence(error)}`)
  }
}

/** Throws where the alias was moved before the request came to it: nothing that it did counts. */
function assertArrived(found: string | undefined, { alias, index }: BulkPlace): void {
  if (index === undefined || found === index) return
  throw new Failure('target', `${alias} pointed at ${found ?? 'another index'} in place of ${index}`, {
    remedy: `let the alias point at ${index} again: what went elsewhere is then written there`,
  })
}

/** What is refused before the server looks where it goes is told under the alias. */
function refusedBy({ index: found }: BulkItem, { alias, index }: BulkPlace): string | undefined {
  return found === undefined || found === alias ? index : found
}

function isApplied({ status, error }: BulkItem, operation: Operation | undefined): boolean {
  if (error !== undefined) return false
  return (status >= 200 && status < 300) || (status === 404 && operation?.op === 'delete')
}

/** The version that is stored, exactly: it may be beyond 2^53, and the id before it may hold anything. */
function storedVersion(reason: string): bigint | undefined {
  const digits = /version conflict, current version \[(\d+)\] is [^[\]]*\[\d+\]$/.exec(reason)?.[1]
  return digits === undefined ? undefined : BigInt(digits)
}

/** What a refused call means. Call only for a status of 300 or more; `doing` begins the message. */
export function failureOf(answer: Answer, doing: string): Failure {
  const error = errorOf(answer)
  if (error === undefined) return unknownAnswer(answer, doing)
  const rule = judge(answer.status, error)
  // What is refused as such is not a document here: the target cannot do what we ask.
  return failure(rule, `${doing}: ${sentence(error)}`)
}

function failure({ verdict, remedy }: Rule, message: string): Failure {
  return new Failure(kindOf(verdict), message, remedy === undefined ? {} : { remedy })
}

/** What is said of one document says something of the target where there is none. */
function kindOf(verdict: Verdict): FailureKind {
  if (verdict === 'unknown') return 'transient'
  return verdict === 'stale' || verdict === 'rejected' ? 'target' : verdict
}

/** An answer that the search server did not give: of a proxy, a gateway, or of something else. */
function unknownAnswer({ status }: Answer, doing: string): Failure {
  const message = `${doing}: answered with status ${status}`
  if (status === 429) return new Failure('overload', message)
  if (status >= 500 || status === 408) return new Failure('transient', message)
  const kind = status === 401 || status === 403 ? 'unauthorised' : 'target'
  return new Failure(kind, message, {
    remedy: "check the target's address and credentials, and what lies between",
  })
}

/** Throws a Failure where the answer to a refresh says that some of what was written may still not be found. */
export function assertRefreshed(text: string, place: string): void {
  const { _shards: shards } = JSON.parse(text) as { readonly _shards?: { readonly failed?: number } }
  if ((shards?.failed ?? 0) > 0) throw new Failure('transient', `refreshing ${place}: a shard failed`)
}

/** Why a request of one operation can never be carried out; undefined = that is not what the answer says. */
export function refusal(answer: Answer): Extract<Outcome, { kind: 'rejected' }> | undefined {
  if (answer.status === 413) return tooLarge
  const error = answer.status === 400 ? errorOf(answer) : undefined
  if (error === undefined || judge(answer.status, error).verdict !== 'rejected') return undefined
  return rejected(error)
}

const tooLarge = {
  kind: 'rejected',
  reason: 'the document alone is larger than the server takes (http.max_content_length)',
  fingerprint: 'content too large',
} as const

function errorOf(answer: Answer): ServerError | undefined {
  try {
    const { error } = JSON.parse(answer.text) as { readonly error?: unknown }
    if (typeof error === 'string') return { type: '', reason: error, cause: '' }
    return typeof error === 'object' && error !== null ? serverError(error) : undefined
  } catch {
    // Not JSON: the caller judges by the status.
    return undefined
  }
}

function serverError(error: unknown): ServerError {
  const { type, reason, caused_by: cause } = (error ?? {}) as Readonly<Record<string, unknown>>
  const inner = typeof cause === 'object' && cause !== null ? serverError(cause) : undefined
  return {
    type: typeof type === 'string' ? type : 'unknown_error',
    reason: typeof reason === 'string' ? reason : '',
    cause: inner === undefined ? '' : [inner.type, inner.reason, inner.cause].filter(Boolean).join(': '),
  }
}

function sentence({ type, reason, cause }: ServerError): string {
  const told = cause === '' || cause.endsWith(reason) ? '' : ` (${cause})`
  const text = [type, reason].filter(Boolean).join(': ') + told
  return text.length > reasonCharactersMax ? `${text.slice(0, reasonCharactersMax)}…` : text
}

const reasonCharactersMax = 600

/** Why a document would be refused, by the error that the server shows. */
export function rejectionOf(error: unknown): Outcome {
  return rejected(serverError(error))
}

/** Why a document was refused, for people: the document itself lies beside it, so its values are left out. */
function rejected(error: ServerError): Extract<Outcome, { kind: 'rejected' }> {
  const reason = sentence({
    type: error.type,
    reason: withoutValues(error.reason),
    cause: withoutValues(error.cause),
  })
  return { kind: 'rejected', reason, fingerprint: fingerprint(error) }
}

/** What alike errors share: the words without values, ids and places in the document. */
function fingerprint({ type, reason, cause }: ServerError): string {
  const causeType = /^[a-z_]+/.exec(cause)?.[0]
  const words = withoutValues(reason).replace(/\d+/g, 'N').slice(0, fingerprintCharactersMax)
  return `${type}: ${words}${causeType === undefined ? '' : ` (${causeType})`}`
}

const fingerprintCharactersMax = 200

function withoutValues(text: string): string {
  return text
    .replace(/\s*at \[Source:.*$/s, '')
    .replace(/\s*Preview of field's value:.*$/s, '')
    .replace(/(The prefix of the first immense term is:).*$/s, '$1 …')
    .replace(/'[^']*'/g, "'…'")
    .replace(/(?<!field=)"[^"]*"/g, '"…"')
    .replace(/(value|date field|date) \[[^\]]*\]/gi, '$1 […]')
    .replace(/value \([^)]*\)/gi, 'value (…)')
}
