/**
 * The least that any program does which keeps an index in step with small transactions: it is told of each commit, and
 * sends what is ready by bulk requests, one at a time on each of a few connections, as the daemon's lanes do.
 */
import { Agent } from 'node:http'
import { sendBody } from './bare-bulk.ts'

export class BareWriter {
  readonly #url: URL
  readonly #lanes: readonly Lane[]
  readonly #agent: Agent

  /** `path`: of the bulk, with its query. */
  constructor(server: string, path: string, lanes: number) {
    this.#url = new URL(path, server)
    this.#agent = new Agent({ keepAlive: true, maxSockets: lanes })
    this.#lanes = Array.from({ length: lanes }, () => ({
      waiting: [],
      sending: undefined,
      failure: undefined,
    }))
  }

  /** Sends the document, undefined = deletes it, as soon as its connection has its answer to what came before. */
  write(id: string, document: object | undefined): void {
    const lane = this.#lanes[Number(id) % this.#lanes.length]
    if (lane === undefined) throw new Error('a writer needs a connection')
    const action = `{"${document === undefined ? 'delete' : 'index'}":{"_id":"${id}"}}\n`
    lane.waiting.push(document === undefined ? action : `${action}${JSON.stringify(document)}\n`)
    lane.sending ??= this.#send(lane)
  }

  /** Resolves when all was answered. Throws at the first answer that is not of success. */
  async close(): Promise<void> {
    try {
      for (const lane of this.#lanes) {
        await lane.sending
        if (lane.failure !== undefined) throw lane.failure
      }
    } finally {
      this.#agent.destroy()
    }
  }

  async #send(lane: Lane): Promise<void> {
    try {
      while (lane.waiting.length > 0) {
        const body = Buffer.from(lane.waiting.splice(0).join(''))
        await sendBody(this.#url, this.#agent, body)
      }
    } catch (error) {
      lane.failure = error instanceof Error ? error : new Error(String(error))
    } finally {
      lane.sending = undefined
    }
  }
}

interface Lane {
  readonly waiting: string[]
  sending: Promise<void> | undefined
  failure: Error | undefined
}
