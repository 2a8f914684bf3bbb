import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryIndex, type Fault } from '../support/memory-sink.ts'
import { del, put, refuses, sinkContract } from './sink.contract.ts'

sinkContract('memory', async () => {
  const index = new MemoryIndex({
    refusal: (body) => (/"quantity":"/.test(body) ? `quantity is no number: '${body}'` : undefined),
  })
  return {
    admin: index,
    sinkFor: (state) => index.sinkFor(state),
    drop: async () => index.drop(),
    replace: async () => index.replace(),
  }
})

describe('the faults of the index in memory', () => {
  const never = new AbortController().signal
  const mark = { pipeline: 'p', lineage: 'l', epoch: 1 }

  async function faulty(fault: Fault): Promise<{ index: MemoryIndex; written: Promise<unknown> }> {
    const index = new MemoryIndex()
    const sink = index.sinkFor(await index.create(mark))
    index.fault = () => fault
    const written = sink.write([put('a', 1n, {}), put('b', 1n, {})], never)
    written.catch(() => undefined)
    return { index, written }
  }

  it('refuse without writing, write without answering, or write a part', async () => {
    const refused = await faulty({ kind: 'refused', failure: 'overload' })
    await refuses('overload', refused.written)
    assert.equal(refused.index.documents().size, 0)
    const lost = await faulty({ kind: 'lost' })
    await refuses('transient', lost.written)
    assert.equal(lost.index.documents().size, 2)
    const partial = await faulty({ kind: 'partial', written: 1 })
    assert.deepEqual(await partial.written, [{ kind: 'applied' }, { kind: 'busy', reason: 'no room' }])
    assert.deepEqual([...partial.index.documents().keys()], ['a'])
  })

  it('let a request or an answer wait, or arrive when nobody waits for it', async () => {
    for (const [kind, before] of [
      ['late', 0],
      ['slow', 2],
      ['stray', 0],
    ] as const) {
      const { promise: until, resolve } = Promise.withResolvers<void>()
      const { index, written } = await faulty({ kind, until })
      if (kind === 'stray') await refuses('transient', written)
      assert.equal(index.documents().size, before, kind)
      resolve()
      if (kind === 'stray') await until
      else await written
      assert.equal(index.documents().size, 2, kind)
    }
  })

  it('forget deletes, so that an older document can come back', async () => {
    const index = new MemoryIndex()
    const sink = index.sinkFor(await index.create(mark))
    await sink.write([del('a', 5n)], never)
    assert.deepEqual(await sink.write([put('a', 4n, {})], never), [{ kind: 'stale', stored: 5n }])
    index.forgetDeletes()
    assert.deepEqual(await sink.write([put('a', 4n, {})], never), [{ kind: 'applied' }])
  })

  it('put other documents or another index in the place of ours', async () => {
    const index = new MemoryIndex()
    const state = await index.create(mark)
    await index.sinkFor(state).write([put('a', 9n, {})], never)
    index.intrude('a', '{"by":"hand"}')
    assert.deepEqual(index.documents().get('a'), { version: 1n, source: '{"by":"hand"}' })
    index.replace(index.documents())
    assert.notEqual((await index.inspect())?.uuid, state.uuid)
    assert.equal(index.documents().size, 1)
  })
})
