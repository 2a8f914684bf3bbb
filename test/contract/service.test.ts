import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { after, before } from 'node:test'
import { connectSearch } from '../../src/sink/search/connect.ts'
import { HttpService } from '../../src/sink/service/http-service.ts'
import { ModuleService } from '../../src/sink/service/module-service.ts'
import { ServiceAdmin } from '../../src/sink/service/service-admin.ts'
import { ServiceSink } from '../../src/sink/service/service-sink.ts'
import type { Service } from '../../src/sink/service/service.ts'
import { unlimited } from '../../src/sink/sink.ts'
import type { DocumentStore } from '../support/document-store.ts'
import { settingsOf } from '../support/loopback-node.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { startWriteService, type WriteService } from '../support/write-service.ts'
import { store } from '../support/writing-module.ts'
import { sinkContract, type SinkUnderTest } from './sink.contract.ts'

let server: WriteService
let overHttp: Service
const path = fileURLToPath(import.meta.resolve('../support/writing-module.ts'))
const inModule = new ModuleService({ name: 'own', path, timeoutMs: 60_000, throttle: unlimited })
let opened = 0

before(async () => {
  server = await startWriteService({ marks: true })
  overHttp = new HttpService(connectSearch(settingsOf({ nodes: [server.url], product: 'none' })))
})

after(async () => {
  await overHttp.close()
  await server[Symbol.asyncDispose]()
})

sinkContract('a write service', async () => subject(overHttp, server.store))
sinkContract('a module', async () => subject(inModule, store))

function subject(service: Service, documents: DocumentStore): SinkUnderTest {
  const index = `index${++opened}`
  return {
    admin: new ServiceAdmin({ service, index, lists: true, store: new MemoryStore(), name: 'mark' }),
    sinkFor: ({ uuid }) => new ServiceSink({ service, index, uuid, batchBytesMax: 100_000 }),
    counts: false,
    drop: async () => documents.drop(index),
    replace: async () => {
      documents.drop(index)
      documents.putMark(index, { uuid: randomUUID(), pipeline: 'other', lineage: 'b', epoch: 1 })
    },
  }
}
