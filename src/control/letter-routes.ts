/** Dead letters over HTTP. */
import { Failure } from '../change/failure.ts'
import { json, type Answer, type Route } from './answer.ts'
import type { LetterChoice, Operations } from './operations.ts'

const lettersMax = 1000

export const letterRoutes: readonly Route[] = [
  {
    path: '/v1/dead-letters',
    summary: 'open dead letters by what they share: ?pipeline=orders',
    answer: async (operations, asked) => json(200, await operations.letterKinds(choiceOf(asked))),
  },
  {
    path: '/v1/dead-letters/letters',
    summary: 'dead letters with their documents: ?pipeline=orders&ids=42&fingerprint=1f3a…&limit=100',
    answer: letters,
  },
  {
    method: 'POST',
    path: '/v1/dead-letters/redrive',
    summary:
      'have their rows read and delivered again: {"pipeline": "orders", "ids": ["42"]}; without ids: all',
    answer: async (operations, asked) => json(200, await operations.redriveLetters(choiceOf(asked))),
  },
  {
    method: 'POST',
    path: '/v1/dead-letters/drop',
    summary: 'forget them: {"pipeline": "orders", "fingerprint": "1f3a…"}',
    answer: async (operations, asked) => json(200, await operations.dropLetters(choiceOf(asked))),
  },
]

async function letters(operations: Operations, asked: unknown): Promise<Answer> {
  const { limit = '20' } = (asked ?? {}) as { readonly limit?: string }
  if (!/^\d{1,6}$/.test(limit)) throw new Failure('configuration', 'limit is to be a number')
  return json(200, await operations.letters(choiceOf(asked), Math.min(Number(limit), lettersMax)))
}

/** Throws a Failure of kind `configuration` for anything else. */
function choiceOf(asked: unknown): LetterChoice {
  const { pipeline, ids, keys, fingerprint } = (asked ?? {}) as Partial<Record<keyof LetterChoice, unknown>>
  return {
    ...(pipeline === undefined ? {} : { pipeline: textIn('pipeline', pipeline) }),
    ...(ids === undefined ? {} : { ids: textsIn('ids', ids) }),
    ...(keys === undefined ? {} : { keys: textsIn('keys', keys) }),
    ...(fingerprint === undefined ? {} : { fingerprint: textIn('fingerprint', fingerprint) }),
  }
}

function textIn(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new Failure('configuration', `${name} is to be text`)
}

/** A query gives one as it is, several as a list. */
function textsIn(name: string, value: unknown): readonly string[] {
  return [value].flat().map((each) => textIn(name, each))
}
