/** What becomes of writes while somebody moves the alias: part of the suite in search-server.contract.ts. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Failure } from '../../src/change/failure.ts'
import type { Opened } from './search-server.contract.ts'
import { del, put, refuses } from './sink.contract.ts'

interface Means {
  /** A place for an index of its own. */
  readonly open: () => Opened
  /** Asks the server; throws where it refuses. */
  readonly succeed: (method: 'PUT' | 'POST', path: string, body?: object) => Promise<void>
}

export function movedAlias({ open, succeed }: Means): void {
  const pointAt = async (alias: string, from: string, to: string): Promise<void> => {
    const actions = [{ remove: { index: from, alias } }, { add: { index: to, alias } }]
    await succeed('POST', '/_aliases', { actions })
  }

  it('counts nothing that went to another index while the alias was moved, however shortly', async () => {
    const { alias, admin, sinkFor } = open()
    const index = await admin.create(mark)
    const other = `${alias}-other`
    await succeed('PUT', `/${other}`, { mappings: { properties: { quantity: { type: 'integer' } } } })
    await succeed('PUT', `/${other}/_doc/b?version=9&version_type=external`, { quantity: 9 })
    const sink = sinkFor(index)
    const attempts = [
      put('a', 1n, { quantity: 1 }),
      put('b', 2n, { quantity: 2 }),
      put('c', 1n, { quantity: 'many' }),
      del('d', 1n),
    ]
    for (const operation of attempts) {
      // The sink has just looked at the index, and does not look again so soon.
      await sink.write([put('z', 1n, { quantity: 0 })], never)
      await pointAt(alias, index.name, other)
      await refuses('target', sink.write([operation], never))
      await pointAt(alias, other, index.name)
    }
    const kinds = (await sink.write(attempts, never)).map(({ kind }) => kind)
    assert.deepEqual(kinds, ['applied', 'applied', 'rejected', 'applied'])
    await admin.refresh()
    assert.equal((await admin.inspect())?.documents, 3)
  })

  it('lists and deletes in the index that is filled while the alias is elsewhere, and there alone', async () => {
    const { alias, admin, sinkFor } = open()
    const index = await admin.create(mark)
    const other = `${alias}-other`
    await succeed('PUT', `/${other}/_doc/a?version=1&version_type=external&refresh=true`, { quantity: 9 })
    const sink = sinkFor(index)
    await sink.write([put('a', 1n, { quantity: 1 }), put('b', 1n, { quantity: 2 })], never)
    await pointAt(alias, index.name, other)
    const own = admin.named?.(index.name)
    assert(own !== undefined)
    await own.refresh()
    const found = (await Array.fromAsync(own.scan({ source: false }, never))).flat()
    assert.deepEqual(found.map(({ id }) => id).toSorted(), ['a', 'b'])
    const gone = found.map(({ id, index: place = '' }) => ({ ...del(id, 2n), index: place }))
    // Where it has just looked at the alias it does not look again so soon.
    const early = await sink.write(gone, never).catch((error: unknown) => error)
    assert(Array.isArray(early) || (early instanceof Failure && early.kind === 'target'), String(early))
    await admin.refresh()
    assert.equal((await admin.inspect())?.documents, 1, 'what is behind the alias meanwhile stays')
    await pointAt(alias, other, index.name)
    await sink.write(gone, never)
    await own.refresh()
    assert.deepEqual((await Array.fromAsync(own.scan({ source: false }, never))).flat(), [])
  })
}

const never = new AbortController().signal
const mark = { pipeline: 'orders', lineage: 'a1b2', epoch: 3 }
