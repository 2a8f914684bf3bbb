/** What the control server answers. */
import { Failure, type FailureKind } from '../change/failure.ts'
import { json, type Answer, type Route } from './answer.ts'
import { letterRoutes } from './letter-routes.ts'
import type { Operations, ReplayRequest, TouchRequest } from './operations.ts'
import { refreshRoute } from './refresh-route.ts'
import { steerRoute } from './steer-route.ts'

export const routes: readonly Route[] = [
  { path: '/', summary: 'this list', answer: () => json(200, listOfRoutes()) },
  { path: '/livez', summary: 'whether the process works at all', answer: live },
  { path: '/readyz', summary: 'whether everything is set up and serving, and why not', answer: ready },
  { path: '/metrics', summary: 'metrics for Prometheus', answer: metrics },
  {
    path: '/v1/status',
    summary: 'positions, lag, counts and errors',
    answer: async (operations) => json(200, await operations.status()),
  },
  {
    method: 'POST',
    path: '/v1/touch',
    summary: 'rows to be read again: {"pipeline": "orders", "keys": ["[42]", "[43]"]}',
    answer: touch,
  },
  {
    path: '/v1/replay',
    summary: 'the last replay of each pipeline',
    answer: async (operations) => json(200, await operations.replays()),
  },
  {
    method: 'POST',
    path: '/v1/replay',
    summary:
      'rows to be delivered again: {"pipeline": "orders", "from": "2h"}; also "to", "keysPerSecond" and "keys"',
    answer: replay,
  },
  {
    method: 'POST',
    path: '/v1/replay/cancel',
    summary: 'ends a replay: {"pipeline": "orders"}',
    answer: cancelReplay,
  },
  ...letterRoutes,
  steerRoute,
  refreshRoute,
]

/** An error as every route tells it. */
export function errorAnswer(code: number, message: string, detail: RefusalDetail = {}): Answer {
  return json(code, { error: { code, message, ...detail } })
}

/** What a Failure says beside its message. */
export interface RefusalDetail {
  readonly kind?: FailureKind
  readonly remedy?: string
}

function live(operations: Operations): Answer {
  return operations.live() ? json(200, { live: true }) : json(503, { live: false })
}

function ready(operations: Operations): Answer {
  const answer = operations.ready()
  return json(answer.ready ? 200 : 503, answer)
}

async function metrics(operations: Operations): Promise<Answer> {
  return { code: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await operations.metrics() }
}

async function touch(operations: Operations, body: unknown): Promise<Answer> {
  if (!isTouchRequest(body))
    throw new Failure('configuration', 'the body is to be {"pipeline": "NAME", "keys": ["KEY", ...]}')
  const answer = await operations.touch(body)
  return json(answer.malformed.length === 0 ? 200 : 400, answer)
}

function isTouchRequest(body: unknown): body is TouchRequest {
  const { pipeline, keys } = (body ?? {}) as Partial<Record<keyof TouchRequest, unknown>>
  return typeof pipeline === 'string' && areTexts(keys)
}

async function replay(operations: Operations, body: unknown): Promise<Answer> {
  if (!isReplayRequest(body))
    throw new Failure('configuration', 'the body is to be {"pipeline": "NAME", "from": "PLACE"}')
  return json(200, await operations.replay(body))
}

function isReplayRequest(body: unknown): body is ReplayRequest {
  const { pipeline, from, to, keysPerSecond, keys } = (body ?? {}) as Partial<
    Record<keyof ReplayRequest, unknown>
  >
  return (
    typeof pipeline === 'string' &&
    typeof from === 'string' &&
    (to === undefined || typeof to === 'string') &&
    (keysPerSecond === undefined || (typeof keysPerSecond === 'number' && keysPerSecond >= 0)) &&
    (keys === undefined || areTexts(keys))
  )
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

async function cancelReplay(operations: Operations, body: unknown): Promise<Answer> {
  const { pipeline } = (body ?? {}) as { readonly pipeline?: unknown }
  if (typeof pipeline !== 'string')
    throw new Failure('configuration', 'the body is to be {"pipeline": "NAME"}')
  return json(200, { cancelled: await operations.cancelReplay(pipeline) })
}

function listOfRoutes(): Readonly<Record<string, string>> {
  const named = routes.map(({ method, path, summary }) => [
    method === undefined ? path : `${method} ${path}`,
    summary,
  ])
  return Object.fromEntries(named) as Record<string, string>
}
