/** The least that a program must do to write documents: ready bodies over open connections, nothing else. */
import { Agent, request } from 'node:http'

export interface BareBulk {
  readonly server: string
  /** With its query, as the daemon sends it. */
  readonly path: string
  readonly bodies: Iterator<Buffer>
  readonly inFlight: number
}

/** Sends all bodies, `inFlight` at a time. Throws at the first answer that is not of success for every document. */
export async function sendBare({ server, path, bodies, inFlight }: BareBulk): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight })
  const url = new URL(path, server)
  const work = async (): Promise<void> => {
    for (let next = bodies.next(); next.done !== true; next = bodies.next()) {
      await sendBody(url, agent, next.value)
    }
  }
  try {
    await Promise.all(Array.from({ length: inFlight }, work))
  } finally {
    agent.destroy()
  }
}

/** Sends one body. Throws when the answer is not of success for every document. */
export async function sendBody(url: URL, agent: Agent, body: Buffer): Promise<void> {
  const answered = Promise.withResolvers<string>()
  const sending = request(url, {
    agent,
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', 'content-length': body.length },
  })
  sending.once('error', answered.reject)
  sending.once('response', (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (piece: string) => (text += piece))
    response.once('error', answered.reject)
    response.once('end', () => answered.resolve(text))
  })
  sending.end(body)
  const text = await answered.promise
  if (!text.startsWith('{"errors":false')) throw new Error(`the bulk was answered ${text.slice(0, 500)}`)
}
