/**
 * A write service over HTTP, the paths below its URL:
 *
 *   POST /write      {"index", "uuid", "operations": [{"op", "id", "version", "repeatable", "routing", "document"}]}
 *                    answered with {"results": [{"status", "reason", "version"}]}, one for each operation, in order
 *   GET  /mark?index=…                     its mark; 204 = none yet; 404, 405 or 501 = marks are not kept here
 *   PUT  /mark?index=…                     {"uuid", "pipeline", "lineage", "epoch"}
 *   GET  /documents?index=…&source=…&after=…   {"documents": [{"id", "version", "routing", "document"}], "next"}
 *   POST /get        {"index", "ids": [{"id", "routing"}]}, answered as a list is
 *
 * Versions are strings of digits. 410 says that the index is not the one of this uuid, 413 that a batch is too large.
 */
import { Failure, type FailureKind } from '../../change/failure.ts'
import { membersOf, objectsOf, stringOf } from '../../change/raw-json.ts'
import type {
  Service,
  ServiceDocument,
  ServiceMark,
  ServiceOperation,
  ServicePage,
  ServiceResult,
} from './service.ts'

/** Sends a request and gives the answer, whatever its status; throws a Failure where there is none. */
export interface Sender {
  send(
    call: {
      readonly method: 'GET' | 'POST' | 'PUT'
      readonly path: string
      readonly query?: Readonly<Record<string, string>>
      readonly body?: string
      /** Keeps to the limits of the node that it goes to. */
      readonly writes?: boolean
    },
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }>
  close(): Promise<void>
}

export class HttpService implements Service {
  readonly #sender: Sender

  constructor(sender: Sender) {
    this.#sender = sender
  }

  async write(
    { index, uuid, operations }: Parameters<Service['write']>[0],
    signal: AbortSignal,
  ): Promise<readonly ServiceResult[]> {
    const head = `{"index":${JSON.stringify(index)},"uuid":${JSON.stringify(uuid)},"operations":[`
    const body = `${head}${operations.map(textOfOperation).join(',')}]}`
    const text = await this.#succeed({ method: 'POST', path: '/write', body, writes: true }, signal)
    const { results } = parsed(text) as { readonly results?: readonly ResultAnswer[] }
    if (!Array.isArray(results)) throw unreadable('results')
    return results.map(resultOf)
  }

  async mark(index: string): Promise<ServiceMark | undefined | 'unkept'> {
    const answer = await this.#sender.send({ method: 'GET', path: '/mark', query: { index } }, untilAnswered)
    if (answer.status === 204) return undefined
    if (answer.status === 404 || answer.status === 405 || answer.status === 501) return 'unkept'
    return parsed(textOf(answer, 'GET /mark')) as ServiceMark
  }

  async putMark(index: string, mark: ServiceMark): Promise<void> {
    const body = JSON.stringify(mark)
    await this.#succeed({ method: 'PUT', path: '/mark', query: { index }, body }, untilAnswered)
  }

  async list(
    index: string,
    { after, source }: { readonly after: string | undefined; readonly source: boolean },
    signal: AbortSignal,
  ): Promise<ServicePage> {
    const query = { index, source: String(source), ...(after === undefined ? {} : { after }) }
    const text = await this.#succeed({ method: 'GET', path: '/documents', query }, signal)
    return pageOf(text)
  }

  async get(index: string, ids: Parameters<Service['get']>[1]): Promise<readonly ServiceDocument[]> {
    const body = JSON.stringify({ index, ids })
    return pageOf(await this.#succeed({ method: 'POST', path: '/get', body }, untilAnswered)).documents
  }

  async close(): Promise<void> {
    await this.#sender.close()
  }

  async #succeed(call: Parameters<Sender['send']>[0], signal: AbortSignal): Promise<string> {
    return textOf(await this.#sender.send(call, signal), `${call.method} ${call.path}`)
  }
}

/** Short calls end by the sender's own limit. */
const untilAnswered = new AbortController().signal

/** As it stands in the request. */
export function textOfOperation({ op, id, version, repeatable, routing, json }: ServiceOperation): string {
  const place = routing === undefined ? '' : `,"routing":${JSON.stringify(routing)}`
  const document = json === undefined ? '' : `,"document":${json}`
  return `{"op":"${op}","id":${JSON.stringify(id)},"version":"${version}","repeatable":${repeatable}${place}${document}}`
}

interface ResultAnswer {
  readonly status: ServiceResult['status']
  readonly reason?: string
  readonly version?: string
}

function resultOf({ status, reason, version }: ResultAnswer): ServiceResult {
  return {
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(version === undefined ? {} : { version: BigInt(version) }),
  }
}

/** Documents stay the text that was sent: a parser would round their numbers. */
function pageOf(text: string): ServicePage {
  parsed(text)
  const answer = membersOf(text)
  const documents = answer.get('documents')
  if (documents?.startsWith('[') !== true) throw unreadable('documents')
  const next = answer.get('next') ?? 'null'
  return {
    documents: objectsOf(documents).map(documentOf),
    next: next === 'null' ? undefined : stringOf(next),
  }
}

function documentOf(found: ReadonlyMap<string, string>): ServiceDocument {
  const [id, version] = [found.get('id'), found.get('version')]
  if (id === undefined || version === undefined) throw unreadable('id or version of a document')
  const [routing, json] = [found.get('routing'), found.get('document')]
  return {
    id: stringOf(id),
    version: BigInt(stringOf(version)),
    ...(routing === undefined ? {} : { routing: stringOf(routing) }),
    ...(json === undefined ? {} : { json }),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Failure('transient', 'the answer of the service is not whole JSON', { cause })
  }
}

function unreadable(what: string): Failure {
  return new Failure('transient', `the answer of the service has no ${what}`)
}

function textOf({ status, text }: { readonly status: number; readonly text: string }, doing: string): string {
  if (status >= 200 && status < 300) return text
  const said = text.length === 0 || text.length > saidCharactersMax ? '' : `: ${text}`
  throw new Failure(kindOf(status), `${doing} was answered with ${status}${said}`, {
    remedy: 'look into the log of the service, and at the address and the credentials of the target',
  })
}

const saidCharactersMax = 300

function kindOf(status: number): FailureKind {
  if (status === 413) return 'rejected'
  if (status === 429) return 'overload'
  if (status === 401 || status === 403) return 'unauthorised'
  return status >= 500 || status === 408 ? 'transient' : 'target'
}
