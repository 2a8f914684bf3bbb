/** When the search server first acknowledged a change of each document, from the bulk requests that passed. */
import assert from 'node:assert/strict'
import type { BulkExchange } from '../support/bulk-proxy.ts'

/** Both by `performance.now()`. */
export interface Acknowledgement {
  /** When the request that it answers was complete. */
  readonly requestedAt: number
  readonly answeredAt: number
}

export class Acknowledgements {
  readonly #times = new Map<string, Acknowledgement>()
  #begun = false

  /** undefined = not yet. */
  at(id: string): Acknowledgement | undefined {
    return this.#times.get(id)
  }

  /** From here on: rows that are changed later have been loaded before. */
  begin(): void {
    this.#begun = true
  }

  add({ body, status, answer, requestedAt, answeredAt }: BulkExchange): void {
    if (status !== 200 || !this.#begun) return
    const outcomes = outcomesOf(answer)
    for (const [at, id] of idsOf(body).entries()) {
      const finished = outcomes === undefined || isFinished(outcomes[at] ?? 0)
      if (finished && !this.#times.has(id)) this.#times.set(id, { requestedAt, answeredAt })
    }
  }
}

/** The id of each operation in order. */
function idsOf(body: Buffer): readonly string[] {
  const ids: string[] = []
  const lines = body.toString('latin1').split('\n')
  for (let at = 0; at < lines.length - 1; at++) {
    const action = /^\{"(index|delete)":\{.*?"_id":"([^"]*)"/.exec(lines[at] ?? '')
    assert(action?.[2] !== undefined, 'every operation begins with an action line')
    ids.push(action[2])
    if (action[1] === 'index') at++
  }
  return ids
}

/** The status of each operation; undefined = all succeeded. */
function outcomesOf(answer: Buffer): readonly number[] | undefined {
  const { errors, items } = JSON.parse(answer.toString()) as Answer
  if (!errors) return undefined
  return (items ?? []).map((item) => Object.values(item)[0]?.status ?? 0)
}

interface Answer {
  readonly errors: boolean
  readonly items?: readonly Readonly<Record<string, { readonly status: number }>>[]
}

/** Written, or there is something newer, or what was to be deleted is gone. */
function isFinished(status: number): boolean {
  return (status >= 200 && status < 300) || status === 404 || status === 409
}
