import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { FailureKind } from '../../../../src/change/failure.ts'
import { connectSearch } from '../../../../src/sink/search/connect.ts'
import { HttpService } from '../../../../src/sink/service/http-service.ts'
import { ServiceAdmin } from '../../../../src/sink/service/service-admin.ts'
import { ServiceSink } from '../../../../src/sink/service/service-sink.ts'
import type { IndexState, Sink } from '../../../../src/sink/sink.ts'
import { put, refuses } from '../../../contract/sink.contract.ts'
import { settingsOf } from '../../../support/loopback-node.ts'
import { MemoryStore } from '../../../support/memory-store.ts'
import { startWriteService, type WriteService } from '../../../support/write-service.ts'

const never = new AbortController().signal
const mark = { pipeline: 'orders', lineage: 'a', epoch: 1 }

describe('a write service', () => {
  let server: WriteService
  let service: HttpService
  before(async () => {
    server = await startWriteService({ marks: false })
    service = new HttpService(connectSearch(settingsOf({ nodes: [server.url], product: 'none' })))
  })
  beforeEach(() => {
    server.fault = () => undefined
  })
  after(async () => {
    await service.close()
    await server[Symbol.asyncDispose]()
  })
  const sink = (batchBytesMax = 100_000): Sink =>
    new ServiceSink({ service, index: 'orders', uuid: 'any', batchBytesMax })

  it('gets batches of a bounded size, and halves of those that it does not take', async () => {
    const sizes: number[] = []
    server.fault = (_, body) => {
      const count = body.split('"op":').length - 1
      sizes.push(count)
      return count > 2 || body.includes('"id":"d3"') ? 413 : undefined
    }
    const operations = Array.from({ length: 8 }, (_, at) => put(`d${at}`, 1n, { text: 'x'.repeat(100) }))
    const outcomes = await sink(700).write(operations, never)
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      operations.map(({ id }) => (id === 'd3' ? 'rejected' : 'applied')),
    )
    assert.equal(Math.max(...sizes), 3)
  })

  it('says by its status what is the matter', async () => {
    const meanings: readonly (readonly [number, FailureKind])[] = [
      [429, 'overload'],
      [503, 'transient'],
      [408, 'transient'],
      [401, 'unauthorised'],
      [403, 'unauthorised'],
      [410, 'target'],
      [400, 'target'],
    ]
    for (const [status, kind] of meanings) {
      server.fault = () => status
      const failure = await refuses(kind, sink().write([put('a', 1n, {})], never))
      assert.match(failure.message, new RegExp(`POST /write was answered with ${status}: .*told to`))
    }
  })

  it('is not believed where its answer is not one', async () => {
    for (const text of ['{', '{}', '{"results":[]}', '{"results":[{"status":"done"}]}']) {
      const answer = { status: 200, text }
      const odd = new HttpService({ send: () => Promise.resolve(answer), close: () => Promise.resolve() })
      const write = new ServiceSink({ service: odd, index: 'orders', uuid: 'any', batchBytesMax: 1000 })
      await refuses('transient', write.write([put('a', 1n, {})], never))
    }
  })

  it('need not keep marks: they stay with us', async () => {
    const store = new MemoryStore()
    const open = (): ServiceAdmin =>
      new ServiceAdmin({ service, index: 'orders', lists: true, store, name: 'mark/orders@own' })
    assert.equal(await open().inspect(), undefined)
    const made: IndexState = await open().create(mark)
    await open().mark({ ...mark, epoch: 2 })
    assert.deepEqual(await open().inspect(), { ...made, mark: { ...mark, epoch: 2 } })
  })

  it('need not list its documents', async () => {
    server.fault = ({ url = '' }) => (url.includes('/documents?') ? 404 : undefined)
    const store = new MemoryStore()
    const open = (lists: boolean): ServiceAdmin =>
      new ServiceAdmin({ service, index: 'orders', lists, store, name: 'mark' })
    await open(true).create(mark)
    for await (const page of open(false).scan({ source: false }, never)) assert.fail(String(page.length))
    const pages = open(true).scan({ source: false }, never)
    await refuses('target', pages.next())
  })
})
