/** The HTTP server for status, health and metrics. Read only; it listens on this machine unless told otherwise. */
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { Failure } from '../change/failure.ts'
import type { Operations } from './operations.ts'
import { errorAnswer, routes, type Answer } from './routes.ts'

export interface ControlRequest {
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  readonly operations: Operations
  /** Takes secrets out of everything that is answered. */
  readonly redact: (text: string) => string
}

export interface ControlServer {
  readonly host: string
  /** The port that it really listens on. */
  readonly port: number
  /** Answers what is under way, then closes. */
  readonly close: () => Promise<void>
}

const limits = {
  bodyLimit: 16_384,
  requestTimeout: 10_000,
  connectionTimeout: 30_000,
  keepAliveTimeout: 65_000,
  maxRequestsPerSocket: 10_000,
  routerOptions: { maxParamLength: 200 },
} as const

const connectionsMax = 200

/** Throws a Failure of kind `configuration` when the address cannot be listened on. */
export async function startControl(request: ControlRequest): Promise<ControlServer> {
  const { host, operations, redact } = request
  const server = fastify({ ...limits, forceCloseConnections: 'idle', logger: false })
  server.server.maxConnections = connectionsMax
  const send = (reply: FastifyReply, { code, type, body }: Answer) =>
    reply.code(code).header('content-type', type).header('cache-control', 'no-store').send(redact(body))

  for (const { path, answer } of routes) {
    server.get(path, async (_, reply) => send(reply, await answer(operations)))
  }
  server.setNotFoundHandler((asked, reply) =>
    send(reply, errorAnswer(404, `there is no ${asked.method} ${asked.url.slice(0, 200)}`)),
  )
  server.setErrorHandler((error, _, reply) => send(reply, answerOf(error)))
  await listen(server, request)
  const address = server.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : request.port
  return { host, port, close: () => server.close() }
}

function answerOf(error: unknown): Answer {
  const { statusCode } = error as { statusCode?: number }
  const message = error instanceof Error ? error.message : 'unknown error'
  return errorAnswer(statusCode !== undefined && statusCode >= 400 ? statusCode : 500, message)
}

async function listen(server: FastifyInstance, { host, port }: ControlRequest): Promise<void> {
  try {
    await server.listen({ host, port })
  } catch (cause) {
    await server.close()
    throw new Failure(
      'configuration',
      `the control server cannot listen on ${host}:${port}: ${reasonOf(cause)}`,
      {
        remedy:
          'stop what listens there, or choose another address: --set control.port=0 takes any free port',
        cause,
      },
    )
  }
}

function reasonOf(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE') return 'the port is taken'
  if (code === 'EACCES') return 'this needs rights that the process does not have'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'this machine does not have the address'
  return (cause as Error).message
}
