/** All documents of an index, or behind an alias, as they were at one moment, page by page. */
import { Failure } from '../../change/failure.ts'
import type { ScanOptions, StoredDocument } from '../sink.ts'
import type { PointInTimeCalls } from './dialect.ts'
import { failureOf } from './outcomes.ts'
import { membersOf, objectsOf, stringOf } from '../../change/raw-json.ts'
import type { Answer, Call, SearchClient } from './search-client.ts'

export interface Scanned extends ScanOptions {
  /** An alias, or an index. */
  readonly place: string
  /** Each document says in which index it lies. */
  readonly tellsIndex?: boolean
}

export async function* scan(
  client: SearchClient,
  scanned: Scanned,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredDocument[]> {
  const { pointInTime } = await client.dialect(signal)
  const reading: Reading = { ask: (call) => succeed(client, call, scanned.place, signal), client, scanned }
  if (pointInTime === undefined) yield* byScroll(reading)
  else yield* byPointInTime(reading, pointInTime)
}

interface Reading {
  readonly ask: (call: Call) => Promise<Answer>
  readonly client: SearchClient
  readonly scanned: Scanned
}

async function* byPointInTime(
  { ask, client, scanned }: Reading,
  calls: PointInTimeCalls,
): AsyncGenerator<readonly StoredDocument[]> {
  const { place, source } = scanned
  const opened = membersOf((await ask(calls.open(place, keepAlive))).text)
  let id = stringOf(opened.get('id') ?? opened.get('pit_id') ?? '""')
  try {
    let after = ''
    for (;;) {
      const body =
        `{"size":${sizeOf(source)}${conditionOf(scanned)},"pit":{"id":${JSON.stringify(id)},` +
        `"keep_alive":"${keepAlive}"},"sort":[{"_shard_doc":"asc"}],"track_total_hits":false,` +
        `"version":true,"_source":${source}${after}}`
      const answer = await ask({ method: 'POST', path: '/_search', query: queryOf(source), body })
      const page = readPage(answer.text, scanned)
      id = page.view ?? id
      if (page.documents.length === 0) return
      yield page.documents
      after = `,"search_after":${page.lastSort}`
    }
  } finally {
    await forget(client, calls.close(id))
  }
}

async function* byScroll({ ask, client, scanned }: Reading): AsyncGenerator<readonly StoredDocument[]> {
  const { place, source } = scanned
  let id: string | undefined
  try {
    const body = `{"size":${sizeOf(source)}${conditionOf(scanned)},"sort":["_doc"],"version":true,"_source":${source}}`
    const path = `/${encodeURIComponent(place)}/_search`
    const query = { ...queryOf(source), scroll: keepAlive }
    let page = readPage((await ask({ method: 'POST', path, query, body })).text, scanned)
    for (;;) {
      id = page.view ?? id
      if (page.documents.length === 0) return
      yield page.documents
      const next = JSON.stringify({ scroll: keepAlive, scroll_id: id })
      const lean: Call = { method: 'POST', path: '/_search/scroll', body: next }
      const { filter_path: filter } = queryOf(source)
      const asked = filter === undefined ? lean : { ...lean, query: { filter_path: filter } }
      page = readPage((await ask(asked)).text, scanned)
    }
  } finally {
    if (id !== undefined) {
      const body = JSON.stringify({ scroll_id: [id] })
      await forget(client, { method: 'DELETE', path: '/_search/scroll', body })
    }
  }
}

/** A view goes by itself when its time is over, so that a failure to close it matters to nobody. */
async function forget(client: SearchClient, call: Call): Promise<void> {
  await client.send(call, untilAnswered).catch(() => undefined)
}

/** A short call, which ends by the client's own limit. */
const untilAnswered = new AbortController().signal
const keepAlive = '5m'
const sizeOf = (source: boolean): number => (source ? 1000 : 5000)

function conditionOf({ where }: ScanOptions): string {
  if (where === undefined) return ''
  const all = where.map(({ field: name, anyOf }) => {
    const field = JSON.stringify(name)
    const some = `{"terms":{${field}:[${anyOf.join(',')}]}}`
    return `{"bool":{"should":[${some},{"bool":{"must_not":{"exists":{"field":${field}}}}}]}}`
  })
  return `,"query":{"bool":{"filter":[${all.join(',')}]}}`
}

// A shard that cannot answer must not look like one without documents.
const pageQuery = { allow_partial_search_results: 'false' }

const leanPageQuery = {
  ...pageQuery,
  filter_path:
    'pit_id,_scroll_id,timed_out,_shards.failed,hits.hits._id,hits.hits._version,hits.hits._routing,hits.hits.sort,hits.hits._index',
}

/** Where content is asked for nothing is filtered: in a filtered answer the server writes numbers anew, rounded. */
function queryOf(source: boolean): Readonly<Record<string, string>> {
  return source ? pageQuery : leanPageQuery
}

interface Page {
  readonly documents: readonly StoredDocument[]
  readonly lastSort: string
  /** The name of the frozen view from here on. */
  readonly view: string | undefined
}

function readPage(text: string, { place, tellsIndex = false }: Scanned): Page {
  const answer = membersOf(text)
  const failed = membersOf(answer.get('_shards') ?? '{}').get('failed') ?? '0'
  if (answer.get('timed_out') !== 'false' || failed !== '0')
    throw new Failure('transient', `reading ${place}: not all shards answered in time`)
  const hits = objectsOf(membersOf(answer.get('hits') ?? '{}').get('hits') ?? '[]')
  const view = answer.get('pit_id') ?? answer.get('_scroll_id')
  return {
    documents: hits.map((hit) => (tellsIndex ? { ...documentOf(hit), ...indexOf(hit) } : documentOf(hit))),
    lastSort: hits.at(-1)?.get('sort') ?? '',
    view: view === undefined ? undefined : stringOf(view),
  }
}

/** The index that a hit lies in. */
export function indexOf(hit: ReadonlyMap<string, string>): { readonly index: string } {
  return { index: stringOf(hit.get('_index') ?? '""') }
}

/** A document as the members of a hit, or of an answer to a read by id. */
export function documentOf(hit: ReadonlyMap<string, string>): StoredDocument {
  const routing = hit.get('_routing')
  return {
    id: stringOf(hit.get('_id') ?? '""'),
    version: BigInt(hit.get('_version') ?? '0'),
    routing: routing === undefined ? undefined : stringOf(routing),
    source: hit.get('_source'),
  }
}

async function succeed(
  client: SearchClient,
  call: Call,
  place: string,
  signal: AbortSignal,
): Promise<Answer> {
  const answer = await client.send(call, signal)
  if (answer.status < 200 || answer.status > 299) throw failureOf(answer, `reading ${place}`)
  return answer
}
