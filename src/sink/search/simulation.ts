/** What a server thinks of documents that it is shown and does not take: the Simulate ingest API of Elasticsearch. */
import { textOfBody, type Operation, type Outcome } from '../sink.ts'
import type { FieldMapping } from './index-definition.ts'
import { rejectionOf } from './outcomes.ts'
import type { SearchClient } from './search-client.ts'

/**
 * By the mapping of the index behind the alias, with fields that it would get first. One outcome for each document, in order;
 * undefined = the server does not let us ask.
 */
export async function simulate(
  client: SearchClient,
  {
    alias,
    missing,
    operations,
  }: {
    readonly alias: string
    readonly missing: Readonly<Record<string, FieldMapping>>
    readonly operations: readonly Operation[]
  },
  signal: AbortSignal,
): Promise<readonly Outcome[] | undefined> {
  const docs = operations.flatMap(({ id, body }) =>
    body === undefined ? [] : [`{"_id":${JSON.stringify(id)},"_source":${textOfBody(body)}}`],
  )
  const addition = JSON.stringify({ properties: missing })
  const path = `/_ingest/${encodeURIComponent(alias)}/_simulate`
  const body = `{"docs":[${docs.join(',')}],"mapping_addition":${addition}}`
  const answer = await client.send({ method: 'POST', path, body }, signal)
  if (answer.status !== 200) return undefined
  const judged = (JSON.parse(answer.text) as Judgement).docs
  if (judged.length !== operations.length) return undefined
  return judged.map(({ doc: { error } }) => (error === undefined ? { kind: 'applied' } : rejectionOf(error)))
}

interface Judgement {
  readonly docs: readonly { readonly doc: { readonly error?: unknown } }[]
}
