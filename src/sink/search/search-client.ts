/**
 * What millrace needs of a search server's client: calls go out as they are, answers come back as text. The calls used
 * are bulk, get, create and delete an index, put a mapping and a template, refresh, count, multi-get, search in a frozen view,
 * what nodes there are, and info.
 */
import type { Dialect } from './dialect.ts'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Escaped, with a leading slash. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** JSON, or lines of JSON where `lines` says so. */
  readonly body?: string | Buffer
  readonly lines?: boolean
  /** Keeps to the limits of the node that it goes to. */
  readonly writes?: boolean
}

export interface Answer {
  readonly status: number
  /** JSON text; numbers beyond 2^53 are why it is not parsed here. */
  readonly text: string
}

export interface SearchClient {
  /** Where this product and version say a thing in their own way; asks the server the first time. Throws as `send` does. */
  dialect(signal: AbortSignal): Promise<Dialect>
  /**
   * Resolves with the server's answer, good or bad. Throws a Failure of kind `transient` when there was none (the call
   * may have had its effect), of kind `configuration` when it was given by something else than a search server, and the
   * signal's reason when that aborts. Tries once, on one node; the next call takes another node where one failed.
   */
  send(call: Call, signal: AbortSignal): Promise<Answer>
  close(): Promise<void>
}
