/** What SearchIndex and SearchSink promise over a real server, whatever its product and version. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Failure } from '../../src/change/failure.ts'
import { bytesOf, textOf } from '../../src/change/row.ts'
import { cellForm, formsOf } from '../../src/document/form.ts'
import { connectSearch } from '../../src/sink/search/connect.ts'
import { SearchIndex } from '../../src/sink/search/index-admin.ts'
import type { IndexWishes } from '../../src/sink/search/index-definition.ts'
import type { SearchClient } from '../../src/sink/search/search-client.ts'
import { SearchSink } from '../../src/sink/search/search-sink.ts'
import type { IndexState, Sink } from '../../src/sink/sink.ts'
import { movedAlias } from './moved-alias.contract.ts'
import { del, put, refuses, sinkContract, type SinkUnderTest } from './sink.contract.ts'
import type { Server } from '../stack/server.ts'
import { RunDirectory } from '../stack/run-directory.ts'
import { bodyOf } from '../support/bodies.ts'
import { everyKind } from '../support/every-kind.ts'

type SearchServer = Server & { readonly url: string }

/** Starts a node that takes requests of 1 MB at most. */
type Start = (options: {
  readonly directory: string
  readonly settings: Readonly<Record<string, string>>
}) => Promise<SearchServer>

let server: SearchServer
let client: SearchClient
let opened = 0

export function searchServerContract(name: string, start: Start): void {
  describe(name, () => {
    let directory: RunDirectory

    before(async () => {
      directory = await RunDirectory.create()
      server = await start({ directory: directory.path, settings: { 'http.max_content_length': '1mb' } })
      client = connect(server.url)
    })

    after(async () => {
      await client?.close()
      await server?.[Symbol.asyncDispose]()
      await directory?.[Symbol.asyncDispose]()
    })

    sinkContract(name, openContract)
    describe('writing', writing)
    describe('a target in trouble', trouble)
    describe('an existing index', existing)
    describe('an alias that is moved', () => movedAlias({ open, succeed }))
  })
}

async function openContract(): Promise<SinkUnderTest> {
  const { alias, admin, sinkFor } = open()
  return {
    admin,
    sinkFor,
    drop: async () => {
      const index = await admin.inspect()
      await succeed('DELETE', `/${index?.name}`)
    },
    replace: async () => {
      const index = await admin.inspect()
      await succeed('DELETE', `/${index?.name}`)
      await succeed('PUT', `/${alias}-other`, { aliases: { [alias]: {} } })
    },
  }
}

function writing(): void {
  it('never makes an index by writing to one that is not there', async () => {
    const { alias, admin, sinkFor } = open()
    const index = await admin.create(mark)
    const fresh = sinkFor(index)
    await succeed('DELETE', `/${index.name}`)
    await refuses('target', fresh.write([put('a', 1n, { quantity: 1 }), del('b', 1n)], never))
    assert.equal((await client.send({ method: 'GET', path: `/${alias}` }, never)).status, 404)
  })

  it('makes the index anew where a late delete left an empty one of the alias’s name', async () => {
    const { alias, admin, sinkFor } = open()
    const index = await admin.create(mark)
    const sink = sinkFor(index)
    await sink.write([put('a', 1n, { quantity: 1 })], never)
    await succeed('DELETE', `/${index.name}`)
    await succeed('PUT', `/${alias}`)
    assert.equal(await admin.inspect(), undefined)
    const made = await admin.create(mark)
    assert.equal((await admin.inspect())?.uuid, made.uuid)
  })

  it('keeps its hands off an index of the alias’s name that holds something', async () => {
    const { alias, admin } = open()
    await succeed('POST', `/${alias}/_doc/1`, { quantity: 1 })
    await succeed('POST', `/${alias}/_refresh`)
    await refuses('target', admin.inspect())
    await refuses('configuration', admin.create(mark))
    assert.equal((await read(`/${alias}/_count`)).count, 1)
  })

  it('splits what is larger than a request may be, down to the one document that never fits', async () => {
    const { admin, sinkFor } = open({ bulkBytesMax: 50 << 20 })
    const sink = sinkFor(await admin.create(mark))
    const filler = 'x'.repeat(200_000)
    const operations = Array.from({ length: 12 }, (_, at) => put(`d${at}`, 1n, { quantity: at, filler }))
    operations[7] = put('d7', 1n, { filler: filler.repeat(6) })
    const outcomes = await sink.write(operations, never)
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      operations.map((_, at) => (at === 7 ? 'rejected' : 'applied')),
    )
    await admin.refresh()
    assert.equal((await admin.inspect())?.documents, 11)
  })

  it('keeps its own requests within the limit', async () => {
    const { admin, sinkFor } = open({ bulkBytesMax: 10_000 })
    const sink = sinkFor(await admin.create(mark))
    const operations = Array.from({ length: 1000 }, (_, at) => put(`d${at}`, 1n, { quantity: at % 100 }))
    assert.deepEqual(
      new Set((await sink.write(operations, never)).map(({ kind }) => kind)),
      new Set(['applied']),
    )
    await admin.refresh()
    assert.equal((await admin.inspect())?.documents, 1000)
  })

  it('finds the id that no server takes, and writes the others', async () => {
    const { admin, sinkFor } = open()
    const sink = sinkFor(await admin.create(mark))
    const outcomes = await sink.write(
      ['a', 'x'.repeat(513), 'b', 'c'].map((id) => put(id, 1n, {})),
      never,
    )
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['applied', 'rejected', 'applied', 'applied'],
    )
  })

  it('passes every kind of column into the mapping that was made for it', async () => {
    const values = Object.entries(everyKind)
    const fields = values.map(([field, { column }]) => ({ field, column: { ...column, name: field } }))
    const { admin, sinkFor } = open({ wishes: { fields, settings: {}, mappings: {} } })
    const sink = sinkFor(await admin.create(mark))
    const bodies = [0, 1].map(
      (which) => `{${values.map(([field, { cells }]) => `"${field}":${cells[which]}`).join()}}`,
    )
    const outcomes = await sink.write(
      bodies.map((body, at) => ({ ...put(`k${at}`, 1n, {}), body: bodyOf(body) })),
      never,
    )
    assert.deepEqual(outcomes, [{ kind: 'applied' }, { kind: 'applied' }])
    assert.deepEqual(await admin.reconcile(), [])
    await admin.refresh()
    for await (const page of admin.scan({ source: true }, never))
      assert.deepEqual(new Set(page.map(({ source }) => source)), new Set(bodies))
  })

  it('passes every form of every kind of column into the mapping that was made for it', async () => {
    const values = Object.entries(everyKind).flatMap(([name, { column, cells }]) => {
      const named = { ...column, name }
      return formsOf(named).map((form) => {
        const convert = cellForm(named, form) ?? ((cell: string) => cell)
        return {
          field: `${name}_${form}`,
          column: named,
          form,
          cells: cells.map((cell) => convert(bytesOf(cell))),
        }
      })
    })
    const { admin, sinkFor } = open({ wishes: { fields: values, settings: {}, mappings: {} } })
    const sink = sinkFor(await admin.create(mark))
    const bodies = [0, 1].map(
      (which) => `{${values.map(({ field, cells }) => `"${field}":${cells[which]}`).join()}}`,
    )
    const outcomes = await sink.write(
      bodies.map((body, at) => ({ ...put(`k${at}`, 1n, {}), body: bodyOf(textOf(body)) })),
      never,
    )
    assert.deepEqual(outcomes, [{ kind: 'applied' }, { kind: 'applied' }])
  })
}

function trouble(): void {
  it('waits for a target whose index is read-only, and says how to mend it', async () => {
    const { admin, sinkFor } = open()
    const index = await admin.create(mark)
    const sink = sinkFor(index)
    for (const block of ['index.blocks.write', 'index.blocks.read_only_allow_delete']) {
      await succeed('PUT', `/${index.name}/_settings`, { [block]: true })
      const failure = await refuses('target', sink.write([put('a', 1n, { quantity: 1 })], never))
      assert.match(failure.remedy ?? '', /block/)
      await succeed('PUT', `/${index.name}/_settings`, { [block]: null })
    }
    assert.deepEqual(await sink.write([put('a', 1n, { quantity: 1 })], never), [{ kind: 'applied' }])
  })

  it('calls a closed index and an alias on two indexes trouble of the target', async () => {
    const { alias, admin, sinkFor } = open()
    const index = await admin.create(mark)
    const sink = sinkFor(index)
    await succeed('POST', `/${index.name}/_close`)
    await refuses('target', sink.write([put('a', 1n, { quantity: 1 })], never))
    await succeed('POST', `/${index.name}/_open`)
    await succeed('PUT', `/${alias}-second`, { aliases: { [alias]: {} } })
    await refuses('target', sinkFor(index).write([put('a', 1n, { quantity: 1 })], never))
    const failure = await refuses('target', admin.inspect())
    assert.match(failure.message, /several indexes/)
  })

  it('calls a server that is not there transient, and goes on when it is back', async () => {
    const { admin, sinkFor } = open()
    const sink = sinkFor(await admin.create(mark))
    server.pause()
    const slow = connect(server.url, 300)
    await refuses('transient', slow.send({ method: 'GET', path: '/' }, never))
    server.resume()
    await untilAnswered(slow)
    await slow.close()
    assert.deepEqual(await sink.write([put('a', 1n, { quantity: 1 })], never), [{ kind: 'applied' }])
    const nowhere = connect('http://elastic:s3cret@127.0.0.1:1')
    const failure = await refuses('transient', nowhere.send({ method: 'GET', path: '/' }, never))
    assert.doesNotMatch(failure.message + JSON.stringify(failure) + String(failure.stack), /s3cret/)
  })
}

function existing(): void {
  it('gets the fields that it lacks, and keeps what else it says of itself', async () => {
    const { alias, admin } = open()
    await succeed('PUT', `/${alias}-made`, {
      aliases: { [alias]: {} },
      mappings: {
        dynamic: 'strict',
        _meta: { owner: 'search team' },
        properties: { name: { type: 'keyword' } },
      },
    })
    assert.equal((await admin.inspect())?.mark, undefined)
    assert.deepEqual(await admin.reconcile(), [])
    await admin.mark(mark)
    assert.deepEqual((await admin.inspect())?.mark, mark)
    const { mappings } = (await read(`/${alias}-made`))[`${alias}-made`]
    assert.deepEqual(mappings['_meta'], { owner: 'search team', millrace: mark })
    assert.deepEqual(mappings.properties, { name: { type: 'keyword' }, quantity: { type: 'integer' } })
  })

  it('says what it thinks of documents that it does not take, with the fields that it would get', async () => {
    const { alias, admin } = open()
    const documents = [put('a', 1n, { quantity: 7 }), put('b', 1n, { quantity: 'seven' })]
    assert.equal(await admin.simulate(documents, never), undefined, 'there is none')
    await succeed('PUT', `/${alias}-made`, { aliases: { [alias]: {} }, mappings: { dynamic: 'strict' } })
    const opinions = await admin.simulate(documents, never)
    const { simulates } = await client.dialect(never)
    if (simulates) {
      const [good, bad] = opinions ?? []
      assert.deepEqual(good, { kind: 'applied' })
      assert.equal(bad?.kind, 'rejected')
      assert.match(bad.reason, /failed to parse field \[quantity\] of type \[integer\]/)
    } else assert.equal(opinions, undefined)
    await admin.refresh()
    assert.equal((await admin.inspect())?.documents, 0)
    const { mappings } = (await read(`/${alias}-made`))[`${alias}-made`]
    assert.equal(mappings.properties, undefined)
  })

  it('is refused, field by field, where it cannot hold the values', async () => {
    const { alias, admin } = open()
    await succeed('PUT', `/${alias}-made`, {
      aliases: { [alias]: {} },
      mappings: { properties: { name: { type: 'date' }, quantity: { type: 'byte' } } },
    })
    const sentences = await admin.reconcile()
    assert.equal(sentences.length, 2)
    assert.match(sentences[0] ?? '', /field name is date in the index, but its values need text/)
    assert.match(sentences[1] ?? '', /field quantity is byte in the index, but its values need integer/)
  })

  it('may not be an index of the alias’s own name, nor an alias with a filter', async () => {
    const { alias, admin } = open()
    await succeed('PUT', `/${alias}`, { mappings: { properties: { quantity: { type: 'long' } } } })
    assert.match((await refuses('target', admin.inspect())).message, /is an index, not an alias/)
    const second = open()
    await succeed('PUT', `/${second.alias}-made`, {
      aliases: { [second.alias]: { filter: { match_all: {} } } },
    })
    assert.match((await refuses('target', second.admin.inspect())).message, /filter/)
  })

  it('says which setting is wrong when it cannot be made', async () => {
    const { admin } = open({ wishes: { ...wishes, settings: { refresh: 'never' } } })
    const failure = await refuses('configuration', admin.create(mark))
    assert.match(failure.message, /index\.refresh/)
  })

  it('has the type that the pipeline file names in the words of another product', async () => {
    const json = { name: 'tags', kind: 'json', type: 'json', nullable: true } as const
    const fields = [{ field: 'tags', column: json }]
    for (const type of ['flattened', 'flat_object']) {
      const { admin, sinkFor } = open({ wishes: { fields, settings: {}, mappings: { tags: { type } } } })
      const made = await admin.create(mark).catch((error: unknown) => error as Failure)
      if (made instanceof Failure) {
        // The oldest releases have nothing like it.
        assert.match(made.message, /flattened|flat_object/)
        continue
      }
      const { mappings } = (await read(`/${made.name}`))[made.name]
      assert.match(mappings.properties.tags.type, /^flat/)
      assert.deepEqual(await admin.reconcile(), [])
      const outcomes = await sinkFor(made).write([put('a', 1n, { tags: { colour: 'red' } })], never)
      assert.deepEqual(outcomes, [{ kind: 'applied' }])
    }
  })

  it('takes the settings of the pipeline file over its own', async () => {
    const { alias, admin } = open({
      wishes: { ...wishes, settings: { number_of_replicas: 0, index: { gc_deletes: '1s' } } },
    })
    const { name } = await admin.create(mark)
    assert.equal(name, `${alias}-000001`)
    const { index } = (await read(`/${name}/_settings`))[name].settings
    assert.deepEqual([index.number_of_shards, index.number_of_replicas, index.gc_deletes], ['1', '0', '1s'])
  })
}

/** A server that was frozen has much to catch up with. Throws when it has not after a minute. */
async function untilAnswered(asking: SearchClient): Promise<void> {
  const late = AbortSignal.timeout(60_000)
  for (;;) {
    const answer = await asking.send({ method: 'GET', path: '/' }, late).catch((error: unknown) => {
      assert.ok(error instanceof Failure && error.kind === 'transient', String(error))
    })
    if (answer !== undefined) return assert.equal(answer.status, 200)
  }
}

const never = new AbortController().signal
const mark = { pipeline: 'orders', lineage: 'a1b2', epoch: 3 }

const wishes: IndexWishes = {
  fields: [
    {
      field: 'name',
      column: { name: 'name', kind: 'string', type: 'varchar(80)', nullable: true, length: 80 },
    },
    {
      field: 'quantity',
      column: { name: 'quantity', kind: 'integer', type: 'int', nullable: true, length: 4 },
    },
  ],
  settings: { number_of_replicas: 0 },
  mappings: {},
}

export interface Opened {
  readonly alias: string
  readonly admin: SearchIndex
  readonly sinkFor: (index: IndexState) => Sink
}

/** A place for an index of its own. */
function open(options: { readonly wishes?: IndexWishes; readonly bulkBytesMax?: number } = {}): Opened {
  const alias = `test${++opened}`
  return {
    alias,
    admin: new SearchIndex({ client, alias, wishes: options.wishes ?? wishes }),
    sinkFor: (index) =>
      new SearchSink({ client, alias, index, bulkBytesMax: options.bulkBytesMax ?? 900_000 }),
  }
}

function connect(url: string, requestTimeoutMs = 30_000): SearchClient {
  return connectSearch({
    product: undefined,
    discover: false,
    nodes: [url],
    authentication: undefined,
    tls: undefined,
    requestTimeoutMs,
    compress: false,
  })
}

async function succeed(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
  const answer = await client.send(
    { method, path, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
    never,
  )
  assert.ok(answer.status < 300, answer.text)
}

// The shape is the server's; a wrong one fails the test that reads it.
// oxlint-disable-next-line typescript/no-explicit-any
async function read(path: string): Promise<any> {
  return JSON.parse((await client.send({ method: 'GET', path }, never)).text)
}
