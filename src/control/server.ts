/** The HTTP server for status, health, metrics and what can be asked of the daemon; on this machine unless told otherwise. */
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { Failure, messageOf, type FailureKind } from '../change/failure.ts'
import type { Operations } from './operations.ts'
import type { Answer } from './answer.ts'
import { errorAnswer, routes } from './routes.ts'

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
  bodyLimit: 1_048_576,
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

  // A page in somebody's browser can send text without being asked whether it may; JSON it cannot.
  server.removeContentTypeParser('text/plain')
  for (const { method = 'GET', path, answer } of routes) {
    server.route({
      method,
      url: path,
      handler: async ({ body, query }, reply) =>
        send(reply, await answer(operations, method === 'GET' ? query : body)),
    })
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
  if (error instanceof Failure) {
    const { kind, message, remedy } = error
    return errorAnswer(codes[kind] ?? 500, message, { kind, ...(remedy === undefined ? {} : { remedy }) })
  }
  const { statusCode } = error as { statusCode?: number }
  const message = messageOf(error)
  return errorAnswer(statusCode !== undefined && statusCode >= 400 ? statusCode : 500, message)
}

/** Kinds of Failures that are not the server's own fault. */
const codes: Partial<Record<FailureKind, number>> = {
  configuration: 400,
  rejected: 400,
  conflict: 409,
  transient: 503,
  overload: 503,
  target: 503,
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
