/**
 * The thread in which a module of the user's answers, so that one that computes for ever, or ends its process, harms nobody
 * but itself. Values cross as JSON text.
 *
 *   ready  ◀── the module is loaded, or why it is not
 *   ask    ──▶ questions          answered ◀── a text for each, or why there is none
 *   end    ──▶ nobody waits       ended    ◀── at once, where the thread is not busy
 */
import { parentPort, workerData } from 'node:worker_threads'
import { pathToFileURL } from 'node:url'
import { parseExact, textOfExact } from '../../change/exact-json.ts'
import { explain } from '../../change/failure.ts'
import type { Answer, Question } from '../upstream.ts'

export type ToThread =
  | { readonly kind: 'ask'; readonly call: number; readonly questions: readonly Question[] }
  | { readonly kind: 'end'; readonly call: number }

export type FromThread =
  | { readonly kind: 'ready'; readonly fault: 'unloaded' | 'no-function' | undefined; readonly found: string }
  | { readonly kind: 'answered'; readonly call: number; readonly answers: readonly Answer[] | undefined }
  | { readonly kind: 'failed'; readonly call: number; readonly found: string }
  | { readonly kind: 'ended'; readonly call: number }

/** Values as in documents: whole numbers beyond 2^53 are bigints. undefined or null = nothing is known. */
type Ask = (
  questions: readonly Readonly<Record<string, unknown>>[],
  options: { readonly signal: AbortSignal },
) => Promise<readonly unknown[]>

const underWay = new Map<number, AbortController>()

// This file is a thread's program: where something else imports it, for its types, it does nothing.
if (parentPort !== null) await serve((workerData as { readonly path: string }).path)

async function serve(path: string): Promise<void> {
  let module: { readonly ask?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as typeof module
  } catch (error) {
    return tell({ kind: 'ready', fault: 'unloaded', found: explain(error) })
  }
  if (typeof module.ask !== 'function') return tell({ kind: 'ready', fault: 'no-function', found: '' })
  const ask = module.ask as Ask
  parentPort?.on('message', (message: ToThread) => {
    if (message.kind === 'ask') void reply(ask, message.call, message.questions)
    else end(message.call)
  })
  tell({ kind: 'ready', fault: undefined, found: '' })
}

async function reply(ask: Ask, call: number, questions: readonly Question[]): Promise<void> {
  const ending = new AbortController()
  underWay.set(call, ending)
  try {
    const values = questions.map((question) =>
      Object.fromEntries(Object.entries(question).map(([name, text]) => [name, parseExact(text)])),
    )
    const answers: unknown = await ask(values, { signal: ending.signal })
    const isWhole = Array.isArray(answers) && answers.length === questions.length
    tell({ kind: 'answered', call, answers: isWhole ? answers.map(textOfAnswer) : undefined })
  } catch (error) {
    tell({ kind: 'failed', call, found: explain(error) })
  } finally {
    underWay.delete(call)
  }
}

function end(call: number): void {
  underWay.get(call)?.abort(new Error('nobody waits for the answer any more'))
  tell({ kind: 'ended', call })
}

function textOfAnswer(answer: unknown): Answer {
  return answer === undefined || answer === null ? undefined : textOfExact(answer)
}

function tell(message: FromThread): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- it goes to a thread, and no window
  parentPort?.postMessage(message)
}
