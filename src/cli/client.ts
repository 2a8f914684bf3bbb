/** Asks the running daemon over HTTP. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../change/failure.ts'
import type { Status } from '../control/operations.ts'

const timeoutMs = 5000

/** Where the daemon of this state folder listens; undefined = it left no address: none runs. */
export function daemonAddress(stateFolder: string): string | undefined {
  let text: string
  try {
    text = readFileSync(join(stateFolder, 'control.json'), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { host, port } = JSON.parse(text) as { host: string; port: number }
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Throws a Failure of kind `transient` when nobody answers. */
export async function askStatus(address: string, signal: AbortSignal): Promise<Status> {
  const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  let response: Response
  try {
    response = await fetch(new URL('/v1/status', address), { signal: ending })
  } catch (cause) {
    throw new Failure('transient', `no daemon answers at ${address}`, {
      remedy: 'start it: millrace run',
      cause,
    })
  }
  if (!response.ok) throw new Failure('transient', `the daemon at ${address} answered ${response.status}`)
  // The daemon of the same program: its answer has the shape that operations.ts gives it.
  return (await response.json()) as Status
}
