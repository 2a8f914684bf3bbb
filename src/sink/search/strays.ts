/** Documents that may lie elsewhere than where they are to be: found by their ids over all places behind the alias. */
import { Failure } from '../../change/failure.ts'
import { membersOf, objectsOf } from '../../change/raw-json.ts'
import type { Operation, Outcome, StoredDocument } from '../sink.ts'
import { failureOf } from './outcomes.ts'
import { documentOf, indexOf } from './scan.ts'
import type { Call, SearchClient } from './search-client.ts'

interface Place {
  readonly client: SearchClient
  readonly alias: string
  /** Whether there are several indexes behind the alias. */
  readonly isFamily?: boolean
}

export interface Strays {
  /** To be written after the operations. */
  readonly deletes: readonly Operation[]
  /** Of an operation, by its number: what became of it and of its strays. */
  readonly outcomeOf: (at: number, outcomes: readonly Outcome[]) => Outcome
}

export async function findStrays(
  place: Place,
  operations: readonly Operation[],
  signal: AbortSignal,
): Promise<Strays> {
  const askers = new Map<string, number>()
  for (const [at, { id, everywhere }] of operations.entries()) if (everywhere === true) askers.set(id, at)
  const deletes: Operation[] = []
  const owners: number[] = []
  for (const hit of await findByIds(place, [...askers.keys()], signal)) {
    const at = askers.get(hit.id) ?? -1
    const operation = operations[at]
    if (operation === undefined || isAt(operation, hit)) continue
    const { id, routing, index } = hit
    deletes.push({
      op: 'delete',
      id,
      routing,
      version: operation.version,
      // Another routing may lead to the same shard: there the two are one document, and what was written stays.
      repeatable: false,
      vacates: true,
      body: undefined,
      ...(index === undefined ? {} : { index }),
    })
    owners.push(at)
  }
  return {
    deletes,
    outcomeOf: (at, outcomes) => {
      const own = outcomes[at]
      if (own === undefined) throw new Error('a sink answers for each operation')
      const late = owners.findIndex(
        (owner, number) => owner === at && !isFinished(outcomes[operations.length + number]),
      )
      return late === -1 ? own : (outcomes[operations.length + late] ?? own)
    },
  }
}

function isFinished(outcome: Outcome | undefined): boolean {
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
  await succeed(place, { method: 'POST', path: `/${encodeURIComponent(place.alias)}/_refresh` }, signal)
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
