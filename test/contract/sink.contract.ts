/** What every Sink and its IndexAdmin promise; run over each implementation. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Failure, type FailureKind } from '../../src/change/failure.ts'
import type { IndexAdmin, IndexState, Operation, Outcome, Sink, StoredDocument } from '../../src/sink/sink.ts'
import { bodyOf } from '../support/bodies.ts'

/** An index that does not exist yet; its documents have the text `name` and the integer `quantity`. */
export interface SinkUnderTest {
  readonly admin: IndexAdmin
  readonly sinkFor: (index: IndexState) => Sink
  /** Deletes the index behind everybody's back. */
  readonly drop: () => Promise<void>
  /** Puts another, empty index in its place. */
  readonly replace: () => Promise<void>
  /** false = nobody knows how many documents it has. */
  readonly counts?: boolean
}

export function sinkContract(name: string, open: Open): void {
  for (const [part, promises] of Object.entries({ 'a sink': sinkPromises, 'an index': indexPromises })) {
    describe(`${name}: ${part}`, () => {
      for (const [promise, check] of Object.entries(promises)) it(promise, async () => await check(open))
    })
  }
}

type Open = () => Promise<SinkUnderTest>
type Promises = Readonly<Record<string, (open: Open) => Promise<void>>>

async function opened(open: Open): Promise<SinkUnderTest & { index: IndexState; sink: Sink }> {
  const under = await open()
  const index = await under.admin.create(mark)
  return { ...under, index, sink: under.sinkFor(index) }
}

const sinkPromises: Promises = {
  'writes documents that can be read back as they are, with version and routing': async (open) => {
    const { admin, sink } = await opened(open)
    const operations = ids.map((id, at) => put(id, base + BigInt(at), { name: `${id} ✓`, quantity: at }))
    assert.deepEqual(
      await sink.write(operations, never),
      operations.map(() => applied),
    )
    const found = await admin.get(ids.map((id) => ({ id, routing: undefined })))
    assert.deepEqual(
      found.map(({ id, version, source }) => ({ id, version, source })),
      ids.map((id, at) => ({
        id,
        version: base + BigInt(at),
        source: JSON.stringify({ name: `${id} ✓`, quantity: at }),
      })),
    )
    await sink.write([{ ...put('routed', base, { name: 'routed' }), routing: 'ö "1"' }], never)
    const [routed] = await admin.get([{ id: 'routed', routing: 'ö "1"' }])
    assert.equal(routed?.routing, 'ö "1"')
  },

  'keeps the highest version, and takes an equal one again': async (open) => {
    const { admin, sink } = await opened(open)
    const write = async (version: bigint, quantity: number): Promise<Outcome | undefined> =>
      (await sink.write([put('a', version, { quantity })], never))[0]
    assert.deepEqual(await write(highest - 1n, 1), applied)
    assert.deepEqual(await write(highest - 2n, 2), { kind: 'stale', stored: highest - 1n })
    assert.deepEqual(await write(highest - 1n, 3), applied)
    assert.deepEqual(await write(highest, 4), applied)
    const [found] = await admin.get([{ id: 'a', routing: undefined }])
    assert.deepEqual(found, { id: 'a', version: highest, routing: undefined, source: '{"quantity":4}' })
  },

  'does not write what is not repeatable over an equal version': async (open) => {
    const { admin, sink } = await opened(open)
    const once = { ...put('a', base, { quantity: 1 }), repeatable: false }
    assert.deepEqual(await sink.write([once], never), [applied])
    assert.deepEqual(await sink.write([{ ...del('a', base), repeatable: false }], never), [
      { kind: 'stale', stored: base },
    ])
    assert.equal((await admin.get([{ id: 'a', routing: undefined }])).length, 1)
    assert.deepEqual(await sink.write([{ ...del('a', base + 1n), repeatable: false }], never), [applied])
    assert.deepEqual(await sink.write([{ ...once, version: base + 1n }], never), [
      { kind: 'stale', stored: base + 1n },
    ])
    assert.deepEqual(await admin.get([{ id: 'a', routing: undefined }]), [])
  },

  'deletes by version too: what is older than the delete stays away': async (open) => {
    const { admin, sink } = await opened(open)
    await sink.write([put('a', base + 5n, { quantity: 1 })], never)
    assert.deepEqual(await sink.write([del('a', base + 4n)], never), [{ kind: 'stale', stored: base + 5n }])
    assert.deepEqual(await sink.write([del('a', base + 5n)], never), [applied])
    assert.deepEqual(await sink.write([put('a', base + 4n, { quantity: 2 })], never), [
      { kind: 'stale', stored: base + 5n },
    ])
    assert.deepEqual(await admin.get([{ id: 'a', routing: undefined }]), [])
    assert.deepEqual(await sink.write([put('a', base + 6n, { quantity: 3 })], never), [applied])
  },

  'calls a delete of a missing document applied': async (open) => {
    const { sink } = await opened(open)
    assert.deepEqual(await sink.write([del('none', base), put('one', base, { quantity: 1 })], never), [
      applied,
      applied,
    ])
  },

  'answers for each operation in order, and one bad document hurts no other': async (open) => {
    const { admin, sink } = await opened(open)
    await sink.write([put('newer', base + 9n, { quantity: 9 })], never)
    const outcomes = await sink.write(
      [
        put('good', base, { quantity: 1 }),
        put('bad', base, { quantity: "no number, said 'x'" }),
        put('newer', base, { quantity: 2 }),
        del('gone', base),
        put('worse', base + 1n, { quantity: "nor 'this'" }),
      ],
      never,
    )
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['applied', 'rejected', 'stale', 'applied', 'rejected'],
    )
    const prints = outcomes.flatMap((outcome) => (outcome.kind === 'rejected' ? [outcome.fingerprint] : []))
    assert.equal(prints[0], prints[1])
    assert.equal((await admin.get(['good', 'bad'].map((id) => ({ id, routing: undefined })))).length, 1)
  },

  'says that the target is in trouble when the index is gone, also for deletes': async (open) => {
    const { sink, drop } = await opened(open)
    await sink.write([put('a', base, { quantity: 1 })], never)
    await drop()
    await refuses('target', sink.write([put('a', base + 1n, { quantity: 1 })], never))
    await refuses('target', sink.write([del('a', base + 2n)], never))
  },

  'does not call a delete applied that found another index in the place of ours': async (open) => {
    const { sink, replace } = await opened(open)
    await sink.write([put('a', base, { quantity: 1 })], never)
    await replace()
    await refuses('target', sink.write([del('a', base + 1n)], never))
  },

  'does not write once the signal has aborted': async (open) => {
    const { admin, sink } = await opened(open)
    const reason = new Error('stopped')
    await assert.rejects(sink.write([put('a', base, { quantity: 1 })], AbortSignal.abort(reason)), reason)
    assert.deepEqual(await admin.get([{ id: 'a', routing: undefined }]), [])
  },
}

const indexPromises: Promises = {
  'is made once, marked, under a name that no index had before': async (open) => {
    const { admin, drop } = await open()
    assert.equal(await admin.inspect(), undefined)
    const made = await admin.create(mark)
    assert.deepEqual(made.mark, mark)
    assert.equal(made.documents, 0)
    assert.deepEqual(await admin.inspect(), made)
    assert.deepEqual(await admin.reconcile(), [])
    await drop()
    assert.equal(await admin.inspect(), undefined)
    assert.notEqual((await admin.create(mark)).uuid, made.uuid)
  },

  'can be marked anew': async (open) => {
    const { admin } = await opened(open)
    await admin.mark({ ...mark, epoch: 7 })
    assert.deepEqual((await admin.inspect())?.mark, { ...mark, epoch: 7 })
  },

  'shows all its documents in pages, at one point in time': async (open) => {
    const { admin, sink, counts = true } = await opened(open)
    const operations = Array.from({ length: 2500 }, (_, at) =>
      put(`d${at}`, highest - BigInt(at), { quantity: at }),
    )
    await sink.write(operations, never)
    await sink.write([del('d7', highest)], never)
    await admin.refresh()
    assert.equal((await admin.inspect())?.documents, counts ? 2499 : 0)
    const found = new Map<string, StoredDocument>()
    let pages = 0
    for await (const page of admin.scan({ source: true }, never)) {
      if (pages++ === 0) {
        await sink.write([put('late', highest, { quantity: 0 }), del('d9', highest)], never)
        await admin.refresh()
      }
      for (const document of page) found.set(document.id, document)
    }
    assert.ok(pages > 1, 'pages are bounded')
    assert.equal(found.size, 2499)
    assert.deepEqual(found.get('d8'), {
      id: 'd8',
      version: highest - 8n,
      routing: undefined,
      source: '{"quantity":8}',
    })
    for await (const page of admin.scan({ source: false }, never))
      for (const { source } of page) assert.equal(source, undefined)
  },

  'keeps numbers in documents as they were written': async (open) => {
    const { admin, sink } = await opened(open)
    const source = '{"quantity":1,"exact":[9223372036854775807,1.10,-0,1e400,0.1234567890123456789]}'
    await sink.write([{ ...put('n', base, {}), body: bodyOf(source) }], never)
    await admin.refresh()
    for await (const [first] of admin.scan({ source: true }, never)) assert.equal(first?.source, source)
    assert.equal((await admin.get([{ id: 'n', routing: undefined }]))[0]?.source, source)
  },

  'says that it is gone': async (open) => {
    const { admin, drop } = await opened(open)
    await drop()
    await refuses('target', admin.refresh())
    await refuses('target', admin.mark(mark))
    await refuses('target', admin.scan({ source: false }, never)[Symbol.asyncIterator]().next())
  },
}

export function put(id: string, version: bigint, document: object): Operation & { op: 'index' } {
  return {
    op: 'index',
    id,
    version,
    routing: undefined,
    repeatable: true,
    body: bodyOf(JSON.stringify(document)),
  }
}

export function del(id: string, version: bigint): Operation & { op: 'delete' } {
  return { op: 'delete', id, version, routing: undefined, repeatable: true, body: undefined }
}

export async function refuses(kind: FailureKind, work: Promise<unknown>): Promise<Failure> {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof Failure, String(error))
    assert.equal(error.kind, kind, error.message)
    return error
  }
  return assert.fail(`a Failure of kind ${kind} was expected`)
}

const applied: Outcome = { kind: 'applied' }
const never = new AbortController().signal
const mark = { pipeline: 'orders', lineage: 'a1b2', epoch: 3 }
const base = 3n << 48n
/** Far beyond what a double holds. */
const highest = (32767n << 48n) | 0xffff_ffff_fff7n
const ids = ['1', 'with space', 'quote"', 'back\\slash', 'ünïcode', '日本|😀', 'line\nbreak', 'x'.repeat(512)]
