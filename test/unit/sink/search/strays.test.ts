import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialectOf } from '../../../../src/sink/search/dialect.ts'
import type { Answer, Call, SearchClient } from '../../../../src/sink/search/search-client.ts'
import { SearchSink } from '../../../../src/sink/search/search-sink.ts'
import { textBody, type Operation, type Outcome } from '../../../../src/sink/sink.ts'

const name = 'orders-000001'
const moved: Operation = {
  op: 'index',
  id: '7',
  version: 5n,
  routing: 'new',
  repeatable: true,
  everywhere: true,
  body: textBody('{}'),
}

test('a delete of what lies elsewhere spares what was just written, should both lie in one shard', async () => {
  const server = new Server([], [])
  assert.deepEqual(await write(server), { kind: 'applied' })
  assert.deepEqual(server.requests, [
    ['{"index":{"_id":"7","routing":"new","version":5,"version_type":"external_gte"}}', '{}'],
    ['{"delete":{"_id":"7","routing":"old","version":5,"version_type":"external"}}'],
  ])
})

test('what lies elsewhere stays until the document has been written', async () => {
  const server = new Server([{ status: 429, error: { type: 'es_rejected_execution_exception' } }])
  assert.equal((await write(server)).kind, 'busy')
  assert.equal(server.requests.length, 1)
})

test('an operation is finished when what lies elsewhere is gone, and not before', async () => {
  const answers = {
    busy: { status: 429, error: { type: 'es_rejected_execution_exception' } },
    unknown: { status: 500, error: { type: 'null_pointer_exception' } },
    rejected: { status: 400, error: { type: 'illegal_argument_exception' } },
    applied: { status: 404 },
  }
  for (const [kind, item] of Object.entries(answers))
    assert.equal((await write(new Server([], [item]))).kind, kind)
})

test('a document that a refresh may have left unfound is not taken for one that is nowhere', async () => {
  const server = new Server()
  server.refreshed = { _shards: { failed: 1 } }
  await assert.rejects(write(server), /a shard failed/)
})

async function write(server: Server): Promise<Outcome> {
  const index = { name, uuid: 'filled' }
  const sink = new SearchSink({ client: server, alias: 'orders', index, bulkBytesMax: 1_000_000 })
  const [outcome] = await sink.write([moved], new AbortController().signal)
  assert(outcome !== undefined)
  return outcome
}

/** A server in which the document lies under an old routing. */
class Server implements SearchClient {
  /** Lines of the requests that write. */
  readonly requests: string[][] = []
  refreshed: object = { _shards: { failed: 0 } }
  readonly #answers: readonly (readonly object[])[]

  /** Items of each answer; none = all is well. */
  constructor(...answers: readonly (readonly object[])[]) {
    this.#answers = answers
  }

  dialect(): ReturnType<SearchClient['dialect']> {
    return Promise.resolve(dialectOf({ product: 'elasticsearch', version: { major: 9, minor: 4 } }))
  }

  send({ path, body }: Call): Promise<Answer> {
    if (path.endsWith('/_settings')) return answer({ [name]: { settings: { index: { uuid: 'filled' } } } })
    if (path.endsWith('/_search'))
      return answer({ hits: { hits: [{ _id: '7', _version: 3, _routing: 'old' }] } })
    if (path.endsWith('/_refresh')) return answer(this.refreshed)
    const lines = String(body).trimEnd().split('\n')
    this.requests.push(lines)
    const [item = { status: 200 }] = this.#answers[this.requests.length - 1] ?? []
    const op = lines[0]?.startsWith('{"delete"') === true ? 'delete' : 'index'
    return answer({ errors: true, items: [{ [op]: { ...item, _index: name } }] })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function answer(value: object): Promise<Answer> {
  return Promise.resolve({ status: 200, text: JSON.stringify(value) })
}
