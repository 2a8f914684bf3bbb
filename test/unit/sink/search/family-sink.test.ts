import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { FamilySink } from '../../../../src/sink/search/family-sink.ts'
import type { Answer, Call, SearchClient } from '../../../../src/sink/search/search-client.ts'
import { textBody, type Operation } from '../../../../src/sink/sink.ts'
import { dialectOf } from '../../../../src/sink/search/dialect.ts'

const family = 'the family'
const mappings = { _meta: { millrace: { pipeline: 'visits', lineage: 'a', epoch: 1, family } } }
const signal = new AbortController().signal

suite('an index for each period, filled by several processes', () => {
  test('a document in an index that another process has just made is deleted', async () => {
    const cluster = new Cluster()
    const [one, other] = [sinkOn(cluster), sinkOn(cluster)]
    await other.write([written('1', 'visits-2026_01')], signal)
    await one.write([written('2', 'visits-2026_02')], signal)
    await other.write([deleted('2', 'visits-2026_02')], signal)
    assert.deepEqual([...cluster.documents], ['visits-2026_01 1'])
  })

  test('where there is no index, there is nothing to delete, and none is made', async () => {
    const cluster = new Cluster()
    const outcomes = await sinkOn(cluster).write([deleted('1', 'visits-2026_01')], signal)
    assert.deepEqual(outcomes, [{ kind: 'applied' }])
    assert.equal(cluster.indexes.size, 0)
  })

  test('a document that came into a period that is not kept is gone from where it was', async () => {
    const cluster = new Cluster()
    const sink = sinkOn(cluster, 2)
    await sink.write([written('1', 'visits-2026_11'), written('2', 'visits-2026_11')], signal)
    const moved = { ...written('1', 'visits-2025_01'), version: 2n, everywhere: true } as const
    assert.deepEqual(await sink.write([moved], signal), [{ kind: 'applied' }])
    assert.deepEqual([...cluster.documents], ['visits-2026_11 2'])
  })
})

function sinkOn(client: SearchClient, keep?: number): FamilySink {
  const place = { client, alias: 'visits', prefix: 'visits-', format: 'YYYY_MM', keep }
  const clock = { now: () => Date.UTC(2026, 10, 23) }
  return new FamilySink({ place, uuid: family, bulkBytesMax: 1_000_000, clock })
}

function written(id: string, index: string): Operation {
  return { op: 'index', id, version: 1n, routing: undefined, index, repeatable: true, body: textBody('{}') }
}

function deleted(id: string, index: string): Operation {
  return { op: 'delete', id, version: 2n, routing: undefined, index, repeatable: true, body: undefined }
}

/** As much of a cluster as a family needs. */
class Cluster implements SearchClient {
  readonly indexes = new Set<string>()
  /** `INDEX ID` each. */
  readonly documents = new Set<string>()

  dialect(): ReturnType<SearchClient['dialect']> {
    return Promise.resolve(dialectOf({ product: 'elasticsearch', version: { major: 9, minor: 4 } }))
  }

  send({ method, path, body }: Call): Promise<Answer> {
    if (path.startsWith('/_index_template/'))
      return answer({ index_templates: [{ index_template: { template: { mappings } } }] })
    if (path === '/_bulk') return this.#bulk(String(body))
    if (path.endsWith('/_search')) return this.#search(String(body))
    if (method === 'PUT') this.indexes.add(path.slice(1))
    const shown = { aliases: { visits: {} }, mappings, settings: { index: {} } }
    return answer(Object.fromEntries([...this.indexes].map((name) => [name, shown])))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #search(body: string): Promise<Answer> {
    const { query } = JSON.parse(body) as { readonly query: { readonly ids: { readonly values: string[] } } }
    const found = [...this.documents].map((document) => document.split(' '))
    const hits = found.filter(([, id = '']) => query.ids.values.includes(id))
    return answer({ hits: { hits: hits.map(([_index, _id]) => ({ _index, _id, _version: 1 })) } })
  }

  #bulk(body: string): Promise<Answer> {
    const items: object[] = []
    for (const line of body.split('\n')) {
      const action = JSON.parse(line || '{}') as Readonly<
        Record<string, { readonly _index: string; readonly _id: string }>
      >
      for (const [op, { _index: index, _id: id }] of Object.entries(action)) {
        if (op === 'delete') this.documents.delete(`${index} ${id}`)
        else this.documents.add(`${index} ${id}`)
        items.push({ [op]: { status: 200 } })
      }
    }
    return answer({ errors: false, items })
  }
}

function answer(value: object): Promise<Answer> {
  return Promise.resolve({ status: 200, text: JSON.stringify(value) })
}
