/** What a route is, and how it answers. */
import type { Operations } from './operations.ts'

export interface Answer {
  readonly code: number
  readonly type: string
  readonly body: string
}

export interface Route {
  /** Default: GET. What changes something is a POST. */
  readonly method?: 'POST'
  readonly path: string
  /** For the list of routes. */
  readonly summary: string
  /** `asked`: what a POST brought, parsed JSON; of a GET its query, by name. */
  readonly answer: (operations: Operations, asked: unknown) => Promise<Answer> | Answer
}

export function json(code: number, value: unknown): Answer {
  return { code, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}
