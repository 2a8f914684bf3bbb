import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/**
 * A port on 127.0.0.1 that is free now, as the kernel confirms by letting us bind it. It lies below the range from which
 * the kernel serves outgoing connections: a server that is stopped and started again must not find its port taken by
 * some client's connection, nor may a client that reconnects in a loop end up connected to itself.
 */
export async function freePort(): Promise<number> {
  const top = outgoingRangeStart()
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (top - lowest))
    if (!handedOut.has(port) && (await bindable(port))) {
      handedOut.add(port)
      return port
    }
  }
  throw new Error(`no free port found on 127.0.0.1 between ${lowest} and ${top}`)
}

const lowest = 12_000
const usualOutgoingRangeStart = 32_768

/** Ports this process already gave to a server that may not listen yet. */
const handedOut = new Set<number>()

function outgoingRangeStart(): number {
  try {
    const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)
    const start = Number(first)
    return start >= lowest + 2000 ? start : usualOutgoingRangeStart
  } catch {
    return usualOutgoingRangeStart
  }
}

function bindable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
