import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'

/**
 * Passes bytes on, until it is told to swallow those of the connections that it has, or to cut these, or to let each piece
 * wait on connections that are made from then on, or to be away. `sent` sees what clients send. Without a port it listens on a free one.
 */
export async function startFreezingProxy(target: number, sent: (chunk: Buffer) => void = () => {}, port = 0) {
  const pairs: (readonly [Socket, Socket])[] = []
  let pauseMs = 0
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    client.on('data', sent)
    if (pauseMs > 0)
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const)
        from.pipe(late(pauseMs)).pipe(to)
    else {
      client.pipe(upstream)
      upstream.pipe(client)
    }
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
    pairs.push([client, upstream])
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const address = server.address()
  assert(address !== null && typeof address === 'object')
  return {
    port: address.port,
    freeze(): void {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        upstream.resume()
      }
    },
    /** Connections that are made from now on. */
    slow(ms: number): void {
      pauseMs = ms
    },
    cut(): void {
      for (const socket of pairs.splice(0).flat()) socket.destroy()
    },
    /** As if the server had gone: connections break, and new ones are refused until `open`. For a port that was chosen. */
    async shut(): Promise<void> {
      const closed = once(server, 'close')
      server.close()
      for (const socket of pairs.splice(0).flat()) socket.destroy()
      await closed
    },
    async open(): Promise<void> {
      await once(server.listen(address.port, '127.0.0.1'), 'listening')
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of pairs.flat()) socket.destroy()
      server.close()
    },
  }
}

/** Each piece comes out so much later than it went in, in order; what comes behind does not wait for it: distance, not narrowness. */
function late(pauseMs: number): Transform {
  return new Transform({
    transform(piece: Buffer, _, taken) {
      setTimeout(() => this.push(piece), pauseMs)
      taken()
    },
    flush: (ended) => {
      setTimeout(ended, pauseMs)
    },
  })
}
