/** Documents that may lie elsewhere than where they are to be: found by their ids over all places behind the alias. */
import { Failure } from '../../change/failure.ts'
import { membersOf, objectsOf } from '../../change/raw-json.ts'
import type { Operation, Outcome, StoredDocument } from '../sink.ts'
import { assertRefreshed, failureOf } from './outcomes.ts'
import { documentOf, indexOf } from './scan.ts'
import type { Call, SearchClient } from './search-client.ts'

interface Place {
  readonly client: SearchClient
  readonly alias: string
  /** Whether there are several indexes behind the alias. */
  readonly isFamily?: boolean
}

/** A document that lies elsewhere than where it is to be. */
interface Stray {
  /** The number of the operation that it is a stray of. */
  readonly of: number
  /** To be written when that operation is finished: both may be one place to the server, where a delete alone would stand in its way. */
  readonly operation: Operation
}

export async function findStrays(
  place: Place,
  operations: readonly Operation[],
  signal: AbortSignal,
): Promise<readonly Stray[]> {
  const askers = new Map<string, number>()
  for (const [at, { id, everywhere }] of operations.entries()) if (everywhere === true) askers.set(id, at)
  const strays: Stray[] = []
  for (const hit of await findByIds(place, [...askers.keys()], signal)) {
    const at = askers.get(hit.id) ?? -1
    const operation = operations[at]
    if (operation === undefined || isAt(operation, hit)) continue
    const { id, routing, index } = hit
    const gone = {
      op: 'delete',
      id,
      routing,
      version: operation.version,
      // Another routing may lead to the same shard: there the two are one document, and what was written stays.
      repeatable: false,
      vacates: true,
      body: undefined,
      ...(index === undefined ? {} : { index }),
    } as const
    strays.push({ of: at, operation: gone })
  }
  return strays
}

/** Whether nothing more is to be done for an operation. */
export function isFinished(outcome: Outcome | undefined): boolean {
  return outcome?.kind === 'applied' || outcome?.kind === 'stale'
}

function isAt({ op, routing, index }: Operation, hit: StoredDocument): boolean {
  return op === 'index' && routing === hit.routing && index === hit.index
}

/** What is there now of these ids, wherever it lies. */
export async function findByIds(
  place: Place,
  ids: readonly string[],
  signal: AbortSignal,
  source = false,
): Promise<readonly StoredDocument[]> {
  const path = `/${encodeURIComponent(place.alias)}/_refresh`
  assertRefreshed(await succeed(place, { method: 'POST', path }, signal), place.alias)
  return await searchByIds(place, ids, signal, source)
}

/** The same, as far as a search finds it already. */
export async function searchByIds(
  place: Place,
  ids: readonly string[],
  signal: AbortSignal,
  source = false,
): Promise<readonly StoredDocument[]> {
  const path = `/${encodeURIComponent(place.alias)}`
  const found: StoredDocument[] = []
  for (let first = 0; first < ids.length; first += idsMax) {
    const values = ids.slice(first, first + idsMax)
    const body = JSON.stringify({ size: hitsMax, version: true, _source: source, query: { ids: { values } } })
    const query = { allow_partial_search_results: 'false' }
    const text = await succeed(place, { method: 'POST', path: `${path}/_search`, query, body }, signal)
    const hits = objectsOf(membersOf(membersOf(text).get('hits') ?? '{}').get('hits') ?? '[]')
    if (hits.length === hitsMax)
      throw new Failure('target', `${place.alias} holds some ids in very many places`, {
        remedy: 'run with --reload for this pipeline',
      })
    for (const hit of hits) {
      found.push({ ...documentOf(hit), ...(place.isFamily === true ? indexOf(hit) : {}) })
    }
  }
  return found
}

/** The most that a search gives, and ids so few that each may lie in several places. */
const hitsMax = 10_000
const idsMax = 1000

async function succeed({ client, alias }: Place, call: Call, signal: AbortSignal): Promise<string> {
  const answer = await client.send(call, signal)
  if (answer.status < 200 || answer.status > 299) throw failureOf(answer, `looking into ${alias}`)
  return answer.text
}
