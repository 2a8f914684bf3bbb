/** What becomes of writes while somebody moves the alias: part of the suite in search-server.contract.ts. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
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
}

const never = new AbortController().signal
const mark = { pipeline: 'orders', lineage: 'a1b2', epoch: 3 }
