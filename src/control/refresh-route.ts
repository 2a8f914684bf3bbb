/** Asking upstreams anew over HTTP. */
import { Failure } from '../change/failure.ts'
import { json, type Answer, type Route } from './answer.ts'
import type { Operations, RefreshRequest } from './operations.ts'

export const refreshRoute: Route = {
  method: 'POST',
  path: '/v1/refresh',
  summary:
    'an upstream knows something else: documents are made anew: {"upstream": "weather"} or {"pipeline": "orders"}; also "rowsPerSecond"',
  answer: refresh,
}

async function refresh(operations: Operations, body: unknown): Promise<Answer> {
  if (!isRefreshRequest(body))
    throw new Failure('configuration', 'the body is to be {"upstream": "NAME"} or {"pipeline": "NAME"}')
  return json(200, await operations.refresh(body))
}

function isRefreshRequest(body: unknown): body is RefreshRequest {
  const { pipeline, upstream, rowsPerSecond } = (body ?? {}) as Partial<Record<keyof RefreshRequest, unknown>>
  const names = [pipeline, upstream].filter((name) => name !== undefined)
  const isRate = rowsPerSecond === undefined || (typeof rowsPerSecond === 'number' && rowsPerSecond > 0)
  return isRate && names.length === 1 && names.every((name) => typeof name === 'string')
}
