/** Pausing and resuming over HTTP. */
import { Failure } from '../change/failure.ts'
import { json, type Answer, type Route } from './answer.ts'
import type { Operations, SteerAction } from './operations.ts'

const actions: readonly string[] = ['pause', 'resume', 'reload'] satisfies readonly SteerAction[]

export const steerRoute: Route = {
  method: 'POST',
  path: '/v1/pipelines/steer',
  summary: 'pause, resume or reload: {"pipeline": "orders@main", "action": "pause"}',
  answer: steer,
}

async function steer(operations: Operations, asked: unknown): Promise<Answer> {
  const { pipeline, action } = (asked ?? {}) as Readonly<Record<'pipeline' | 'action', unknown>>
  if (typeof pipeline !== 'string' || !isAction(action)) {
    const expected = `{"pipeline": "NAME", "action": one of ${actions.join(', ')}}`
    throw new Failure('configuration', `the body is to be ${expected}`)
  }
  return json(200, await operations.steer(pipeline, action))
}

function isAction(action: unknown): action is SteerAction {
  return typeof action === 'string' && actions.includes(action)
}
