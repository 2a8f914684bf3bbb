/** A module of the user's that answers: `export async function ask(questions, { signal })`, one answer for each, in order. */
import { pathToFileURL } from 'node:url'
import { explain, Failure } from '../../change/failure.ts'
import { parseExact, textOfExact } from '../../change/exact-json.ts'
import type { Answer, Question, Upstream } from '../upstream.ts'

export interface ModuleSettings {
  /** For messages. */
  readonly name: string
  /** A JavaScript or TypeScript file. */
  readonly path: string
  readonly questionsMax: number
  readonly timeoutMs: number
}

/** Values as in documents: whole numbers beyond 2^53 are bigints. undefined or null = nothing is known. */
type Ask = (
  questions: readonly Readonly<Record<string, unknown>>[],
  options: { readonly signal: AbortSignal },
) => Promise<readonly unknown[]>

/** Throws a Failure of kind `configuration` where the module cannot be loaded or has no such function. */
export async function openModule(settings: ModuleSettings): Promise<Upstream> {
  const { name, path } = settings
  let module: { readonly ask?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as typeof module
  } catch (cause) {
    throw new Failure(
      'configuration',
      `the module ${path} of the upstream ${name} cannot be loaded: ${explain(cause)}`,
      {
        cause,
        remedy: `correct it, or the path in upstreams.${name}.module`,
      },
    )
  }
  if (typeof module.ask !== 'function') {
    throw new Failure(
      'configuration',
      `the module ${path} of the upstream ${name} exports no function "ask"`,
      {
        remedy:
          'export async function ask(questions, { signal }) { ... }: one answer for each question, in order',
      },
    )
  }
  return new ModuleUpstream(settings, module.ask as Ask)
}

class ModuleUpstream implements Upstream {
  readonly questionsMax: number
  readonly #settings: ModuleSettings
  readonly #ask: Ask

  constructor(settings: ModuleSettings, ask: Ask) {
    this.#settings = settings
    this.#ask = ask
    this.questionsMax = settings.questionsMax
  }

  async ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { name, timeoutMs } = this.#settings
    const timeout = AbortSignal.timeout(timeoutMs)
    const ending = AbortSignal.any([signal, timeout])
    const answers = await this.#call(questions, ending).catch((cause: unknown) => {
      signal.throwIfAborted()
      if (cause instanceof Failure) throw cause
      const found = timeout.aborted ? `did not answer within ${timeoutMs} ms` : `failed: ${explain(cause)}`
      throw new Failure('transient', `the upstream ${name} ${found}`, { cause })
    })
    if (Array.isArray(answers) && answers.length === questions.length) return answers.map(textOfAnswer)
    throw new Failure(
      'transient',
      `the upstream ${name} does not answer each of ${questions.length} questions`,
    )
  }

  async close(): Promise<void> {}

  /** Rejects when the signal aborts, whether the module looks at it or not. */
  async #call(questions: readonly Question[], signal: AbortSignal): Promise<unknown> {
    const values = questions.map((question) =>
      Object.fromEntries(Object.entries(question).map(([name, text]) => [name, parseExact(text)])),
    )
    const ended = Promise.withResolvers<never>()
    const end = (): void => ended.reject(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    try {
      return await Promise.race([this.#ask(values, { signal }), ended.promise])
    } finally {
      signal.removeEventListener('abort', end)
    }
  }
}

function textOfAnswer(answer: unknown): Answer {
  return answer === undefined || answer === null ? undefined : textOfExact(answer)
}
