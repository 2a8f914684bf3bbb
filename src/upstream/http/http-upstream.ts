/**
 * A service that is asked over HTTP: one request for each question, its values in the URL, or one for many by POST.
 *
 *   get   GET  http://host/weather/{city}           →  the answer; 404 = nothing
 *   post  POST {"keys":[{"city":1},{"city":2}]}     →  [answer, null]: one for each, in order; null = nothing
 *
 * Where answers repeat the value that they are about (`key`), they are told apart by it and not by their order.
 */
import { explain, Failure } from '../../change/failure.ts'
import { parseExact, textOfExact } from '../../change/exact-json.ts'
import type { Answer, Question, Upstream } from '../upstream.ts'

export interface HttpSettings {
  /** For messages. */
  readonly name: string
  /** With `{parameter}` where a value of the question goes. */
  readonly url: string
  readonly method: 'get' | 'post'
  readonly headers: Readonly<Record<string, string>>
  /** Where the list of answers is in a reply to POST; empty = the reply itself. */
  readonly answers: readonly string[]
  /** Where the value is in an answer; empty = the answer itself. */
  readonly value: readonly string[]
  /** Where an answer repeats the one value that it was asked with; empty = answers come in the order of the questions. */
  readonly key: readonly string[]
  readonly questionsMax: number
  readonly timeoutMs: number
  readonly responseBytesMax: number
}

export class HttpUpstream implements Upstream {
  readonly questionsMax: number
  readonly #settings: HttpSettings

  constructor(settings: HttpSettings) {
    this.#settings = settings
    this.questionsMax = settings.method === 'get' ? 1 : settings.questionsMax
  }

  async ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { method } = this.#settings
    if (method === 'post') return await this.#askMany(questions, signal)
    return await Promise.all(questions.map((question) => this.#askOne(question, signal)))
  }

  async close(): Promise<void> {}

  async #askOne(question: Question, signal: AbortSignal): Promise<Answer> {
    const { url, name } = this.#settings
    const text = await this.#send(filled(url, question, name), undefined, signal)
    return text === undefined ? undefined : this.#inOrder([question], [this.#parse(text)])[0]
  }

  async #askMany(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { url, answers, key } = this.#settings
    const keys = questions.map((question) => {
      const members = Object.entries(question).map(([name, text]) => `${JSON.stringify(name)}:${text}`)
      return `{${members.join(',')}}`
    })
    const text = await this.#send(url, `{"keys":[${keys.join(',')}]}`, signal)
    const list = at(this.#parse(text ?? 'null'), answers)
    if (!Array.isArray(list) || (key.length === 0 && list.length !== questions.length)) {
      const found = Array.isArray(list) ? `${list.length} answers` : 'no list of answers'
      throw this.#broken(`${found} to ${questions.length} questions`)
    }
    return this.#inOrder(questions, list)
  }

  /** One for each question. */
  #inOrder(questions: readonly Question[], found: readonly unknown[]): readonly Answer[] {
    const { key } = this.#settings
    if (key.length === 0) return found.map((answer) => this.#valueIn(answer))
    const asked = questions.map((question) => plain(Object.values(question)[0] ?? 'null'))
    const byKey = new Map<string, unknown>()
    for (const answer of found.filter((each) => each !== null)) {
      const about = plain(textOfExact(at(answer, key)) ?? 'null')
      if (!asked.includes(about)) throw this.#broken('an answer to something that was not asked')
      if (byKey.has(about)) throw this.#broken('two answers to one question')
      byKey.set(about, answer)
    }
    return asked.map((about) => this.#valueIn(byKey.get(about)))
  }

  #valueIn(answer: unknown): Answer {
    const value = at(answer, this.#settings.value)
    return value === undefined || value === null ? undefined : textOfExact(value)
  }

  #parse(text: string): unknown {
    try {
      return parseExact(text)
    } catch {
      throw this.#broken('something that is not JSON')
    }
  }

  /** What it said may be better said the next time. */
  #broken(found: string): Failure {
    return new Failure('transient', `the upstream ${this.#settings.name} gave ${found}`)
  }

  /** The reply's text; undefined = there is nothing (404). */
  async #send(url: string, body: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    const { name, headers, timeoutMs, responseBytesMax } = this.#settings
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, {
        headers: { accept: 'application/json', ...(body === undefined ? {} : jsonBody), ...headers },
        ...(body === undefined ? {} : { method: 'POST', body }),
        // An answer may not lead to a host that the configuration does not name.
        redirect: 'manual',
        signal: AbortSignal.any([signal, timeout]),
      })
      const text = await bounded(response, responseBytesMax)
      if (text === undefined) throw this.#broken(`more than ${responseBytesMax} bytes`)
      if (response.status === 404 && body === undefined) return undefined
      if (response.ok) return text
      throw refusal(name, response)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof Failure) throw error
      const found = timeout.aborted ? `did not answer within ${timeoutMs} ms` : explain(causeOf(error))
      throw new Failure('transient', `the upstream ${name}: ${found}`, { cause: error })
    }
  }
}

const jsonBody = { 'content-type': 'application/json' }

function refusal(name: string, { status, headers }: Response): Failure {
  const said = `the upstream ${name} answered ${status}`
  if (status === 429 || status === 503) {
    return new Failure('overload', said, { retryAfterMs: retryAfterMs(headers.get('retry-after')) })
  }
  if (status === 401 || status === 403) {
    return new Failure('unauthorised', said, { remedy: `correct upstreams.${name}.headers` })
  }
  if (status >= 300 && status < 400) {
    const remedy = `give the URL that it leads to in upstreams.${name}.url`
    return new Failure('configuration', `${said}, a redirection`, { remedy })
  }
  return new Failure(status >= 500 || status === 408 ? 'transient' : 'rejected', said)
}

/** Of a date or of seconds, as RFC 9110 has them. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = Number(header)
  const waitMs = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), retryAfterMsMax)
}

const retryAfterMsMax = 300_000

/** The text of a response; undefined = it is longer than allowed. */
async function bounded({ body }: Response, bytesMax: number): Promise<string | undefined> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  // The types of the platform do not say that a body gives bytes.
  for await (const piece of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += piece.length
    if (bytes > bytesMax) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

/** `fetch` says only that it failed; why, its cause says. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error
}

/** Throws a Failure of kind `rejected` where a value would lead to another place of the host. */
function filled(url: string, question: Question, upstream: string): string {
  return url.replace(/\{([^{}]+)\}/g, (_whole, name: string) => {
    const value = plain(question[name] ?? '')
    // No spelling of these is a name: they mean folders, whoever reads the URL.
    if (value === '.' || value === '..')
      throw new Failure('rejected', `the upstream ${upstream} cannot be asked with ${name}: "${value}"`)
    return encodeURIComponent(value)
  })
}

/** A value as it stands in a URL: strings without their quotes. */
function plain(text: string): string {
  return text.startsWith('"') ? String(JSON.parse(text)) : text
}

function at(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Readonly<Record<string, unknown>>)[name]
  }
  return found
}
