/** A write service over HTTP with a document store behind it, as the documentation asks for. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { membersOf, objectsOf, stringOf } from '../../src/change/raw-json.ts'
import type { ServiceDocument, ServiceOperation } from '../../src/sink/service/service.ts'
import { DocumentStore, OtherIndex } from './document-store.ts'

export interface WriteService extends AsyncDisposable {
  readonly url: string
  readonly store: DocumentStore
  /** Answers instead of the service where it returns a status. */
  fault: (request: IncomingMessage, body: string) => number | undefined | Promise<number | undefined>
}

/** `marks`: whether it keeps them; `store`: where another node of the same service keeps its documents. */
export async function startWriteService({
  marks,
  store = new DocumentStore(),
}: {
  readonly marks: boolean
  readonly store?: DocumentStore
}): Promise<WriteService> {
  const service = { store, fault: () => undefined } as {
    store: DocumentStore
    fault: WriteService['fault']
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request)
    const status = await service.fault(request, body)
    if (status !== undefined) return void response.writeHead(status).end('{"error":"told to"}')
    try {
      const [code, text] = answerTo(request, body, marks ? store : withoutMarks(store))
      response.writeHead(code, { 'content-type': 'application/json' }).end(text)
    } catch (error) {
      if (!(error instanceof OtherIndex)) throw error
      response.writeHead(410).end(JSON.stringify({ error: error.message }))
    }
  }
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(service, {
    url: `http://127.0.0.1:${port}/documents-of-ours`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

type Marks = Pick<DocumentStore, 'write' | 'list' | 'get'> & Partial<Pick<DocumentStore, 'mark' | 'putMark'>>

/** Takes every index for the one that is meant. */
function withoutMarks(store: DocumentStore): Marks {
  const open = (index: string): void => {
    if (store.mark(index) === undefined)
      store.putMark(index, { uuid: 'any', pipeline: '', lineage: '', epoch: 0 })
  }
  return {
    write: (index, _uuid, operations) => {
      open(index)
      return store.write(index, 'any', operations)
    },
    list: (index, after) => {
      open(index)
      return store.list(index, after)
    },
    get: (index, ids) => store.get(index, ids),
  }
}

function answerTo(request: IncomingMessage, body: string, store: Marks): readonly [number, string] {
  const url = new URL(request.url ?? '', 'http://service')
  const index = url.searchParams.get('index') ?? ''
  switch (`${request.method} ${url.pathname.replace('/documents-of-ours', '')}`) {
    case 'POST /write':
      return [200, write(body, store)]
    case 'GET /mark': {
      if (store.mark === undefined) return [404, '']
      const mark = store.mark(index)
      return mark === undefined ? [204, ''] : [200, JSON.stringify(mark)]
    }
    case 'PUT /mark':
      store.putMark?.(index, JSON.parse(body))
      return [200, '{}']
    case 'GET /documents': {
      const { documents, next } = store.list(index, url.searchParams.get('after') ?? undefined)
      const source = url.searchParams.get('source') === 'true'
      return [200, documentsText(documents, source, next)]
    }
    case 'POST /get': {
      const asked = JSON.parse(body) as { readonly index: string; readonly ids: readonly { id: string }[] }
      return [200, documentsText(store.get(asked.index, asked.ids), true)]
    }
    default:
      return [404, '{}']
  }
}

function write(body: string, store: Marks): string {
  const batch = membersOf(body)
  const operations = objectsOf(batch.get('operations') ?? '[]').map(operationOf)
  const results = store.write(stringIn(batch, 'index') ?? '', stringIn(batch, 'uuid') ?? '', operations)
  const texts = results.map((result) => ({ ...result, version: result.version?.toString() }))
  return JSON.stringify({ results: texts })
}

function operationOf(members: ReadonlyMap<string, string>): ServiceOperation {
  return {
    op: stringIn(members, 'op') === 'delete' ? 'delete' : 'index',
    id: stringIn(members, 'id') ?? '',
    version: BigInt(stringIn(members, 'version') ?? '0'),
    repeatable: members.get('repeatable') === 'true',
    routing: stringIn(members, 'routing'),
    json: members.get('document'),
  }
}

function stringIn(members: ReadonlyMap<string, string>, name: string): string | undefined {
  const raw = members.get(name)
  return raw === undefined ? undefined : stringOf(raw)
}

function documentsText(documents: readonly ServiceDocument[], source: boolean, next?: string): string {
  const texts = documents.map(({ id, version, routing, json }) => {
    const place = routing === undefined ? '' : `,"routing":${JSON.stringify(routing)}`
    const document = source ? `,"document":${json}` : ''
    return `{"id":${JSON.stringify(id)},"version":"${version}"${place}${document}}`
  })
  return `{"documents":[${texts.join(',')}],"next":${JSON.stringify(next ?? null)}}`
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
