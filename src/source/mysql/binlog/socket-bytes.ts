/** Bytes of a socket by pull: nothing is read from it while enough waits to be taken. */
import type { Duplex } from 'node:stream'
import { Failure } from '../../../change/failure.ts'
import { failureOf } from '../server/server-errors.ts'

const waitingBytesMax = 4 * 1024 * 1024

export class SocketBytes {
  readonly #socket: Duplex
  readonly #chunks: Buffer[] = []
  #waitingBytes = 0
  #ended: Failure | undefined
  #wake: (() => void) | undefined

  /** Takes the socket's bytes over from whoever listened before. */
  constructor(socket: Duplex) {
    this.#socket = socket
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#waitingBytes += chunk.length
      if (this.#waitingBytes >= waitingBytesMax) socket.pause()
      this.#wake?.()
    })
    socket.on('error', (error) => this.#end(failureOf(error, 'streaming the binlog')))
    socket.on('close', () => this.#end(new Failure('transient', 'the server closed the connection')))
    socket.on('end', () => this.#end(new Failure('transient', 'the server ended the connection')))
  }

  get hasSome(): boolean {
    return this.#chunks.length > 0
  }

  /** The next bytes that have arrived. */
  take(): Buffer | undefined {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return undefined
    this.#waitingBytes -= chunk.length
    if (this.#socket.isPaused() && this.#waitingBytes < waitingBytesMax / 2) this.#socket.resume()
    return chunk
  }

  /** Whether bytes came within this time. Throws a Failure ('transient') when the connection ended. */
  async wait(timeoutMs: number): Promise<boolean> {
    if (this.#chunks.length > 0) return true
    if (this.#ended !== undefined) throw this.#ended
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#wake = () => resolve(undefined)
    const timer = setTimeout(this.#wake, timeoutMs)
    await promise
    clearTimeout(timer)
    this.#wake = undefined
    return this.#chunks.length > 0 || this.#ended !== undefined
  }

  #end(failure: Failure): void {
    this.#ended ??= failure
    this.#wake?.()
  }
}
