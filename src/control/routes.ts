/** What the control server answers. */
import type { Operations } from './operations.ts'

export interface Answer {
  readonly code: number
  readonly type: string
  readonly body: string
}

export interface Route {
  readonly path: string
  /** For the list of routes. */
  readonly summary: string
  readonly answer: (operations: Operations) => Promise<Answer> | Answer
}

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
]

/** An error as every route tells it. */
export function errorAnswer(code: number, message: string): Answer {
  return json(code, { error: { code, message } })
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

function listOfRoutes(): Readonly<Record<string, string>> {
  return Object.fromEntries(routes.map(({ path, summary }) => [path, summary]))
}

function json(code: number, value: unknown): Answer {
  return { code, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}
