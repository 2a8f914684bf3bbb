import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/**
 * Passes bytes on, until it is told to swallow those of the connections that it has, or to cut these. `sent` sees what
 * clients send.
 */
export async function startFreezingProxy(target: number, sent: (chunk: Buffer) => void = () => {}) {
  const pairs: (readonly [Socket, Socket])[] = []
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    client.on('data', sent)
    client.pipe(upstream)
    upstream.pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
    pairs.push([client, upstream])
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
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
    cut(): void {
      for (const socket of pairs.splice(0).flat()) socket.destroy()
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of pairs.flat()) socket.destroy()
      server.close()
    },
  }
}
