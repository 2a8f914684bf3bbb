/** A module of the user's that answers: `export async function ask(questions, { signal })`, one answer for each, in order. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { explain, Failure } from '../../change/failure.ts'
import type { Answer, Question, Upstream } from '../upstream.ts'
import type { FromThread, ToThread } from './module-thread.ts'

export interface ModuleSettings {
  /** For messages. */
  readonly name: string
  /** A JavaScript or TypeScript file. */
  readonly path: string
  readonly questionsMax: number
  readonly timeoutMs: number
  /** A thread that does not say within this time that it heard of an end is busy for good; another is begun. Default: 1 s. */
  readonly graceMs?: number
}

/** Throws a Failure of kind `configuration` where the module cannot be loaded or has no such function. */
export async function openModule(settings: ModuleSettings): Promise<Upstream> {
  const upstream = new ModuleUpstream(settings)
  await upstream.load()
  return upstream
}

type Call = PromiseWithResolvers<readonly Answer[] | undefined>

/** A thread that has the module, and what it was asked. */
interface Thread {
  readonly worker: Worker
  readonly ready: Promise<void>
  readonly calls: Map<number, Call>
  /** By call: resolves when the thread has heard of its end. */
  readonly endings: Map<number, () => void>
}

class ModuleUpstream implements Upstream {
  readonly questionsMax: number
  readonly #settings: ModuleSettings
  #thread: Thread | undefined
  #calls = 0

  constructor(settings: ModuleSettings) {
    this.#settings = settings
    this.questionsMax = settings.questionsMax
  }

  async load(): Promise<void> {
    await (this.#thread ??= this.#begin()).ready
  }

  async ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]> {
    const { name, timeoutMs } = this.#settings
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const answers = await this.#call(questions, AbortSignal.any([signal, timeout]))
      if (answers !== undefined) return answers
    } catch (cause) {
      signal.throwIfAborted()
      if (cause instanceof Failure) throw cause
      const found = timeout.aborted ? `did not answer within ${timeoutMs} ms` : `failed: ${explain(cause)}`
      throw new Failure('transient', `the upstream ${name} ${found}`, { cause })
    }
    const lacking = `the upstream ${name} does not answer each of ${questions.length} questions`
    throw new Failure('transient', lacking)
  }

  async close(): Promise<void> {
    await this.#thread?.worker.terminate()
  }

  /** Rejects when the signal aborts, whether the module looks at it or not. */
  async #call(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[] | undefined> {
    const thread = (this.#thread ??= this.#begin())
    const call = ++this.#calls
    const answered: Call = Promise.withResolvers()
    const end = (): void => {
      answered.reject(signal.reason)
      void this.#end(thread, call)
    }
    signal.addEventListener('abort', end, { once: true })
    thread.calls.set(call, answered)
    thread.worker.ref()
    try {
      await Promise.race([thread.ready, answered.promise])
      send(thread, { kind: 'ask', call, questions })
      return await answered.promise
    } finally {
      signal.removeEventListener('abort', end)
      thread.calls.delete(call)
      if (thread.calls.size === 0) thread.worker.unref()
    }
  }

  /** Nobody waits for the answer any more. A thread that has no ear for that is left, with all that it was asked. */
  async #end(thread: Thread, call: number): Promise<void> {
    const { graceMs = 1000 } = this.#settings
    const heard = Promise.withResolvers<boolean>()
    thread.endings.set(call, () => heard.resolve(true))
    send(thread, { kind: 'end', call })
    const late = setTimeout(() => heard.resolve(false), graceMs)
    late.unref()
    const isHeard = await heard.promise
    clearTimeout(late)
    thread.endings.delete(call)
    if (!isHeard) this.#leave(thread, 'it was busy for too long')
  }

  #begin(): Thread {
    const { path } = this.#settings
    // Beside this file, as it is: TypeScript, or what was made of it.
    const program = new URL(`./module-thread${extname(import.meta.url)}`, import.meta.url)
    const worker = new Worker(program, { workerData: { path } })
    const ready = Promise.withResolvers<void>()
    const thread = { worker, ready: ready.promise, calls: new Map<number, Call>(), endings: new Map() }
    // Who asks meanwhile is told; one that nobody asks may end as it likes.
    ready.promise.catch(() => {})
    worker.on('message', (message: FromThread) => this.#take(thread, ready, message))
    const left = (why: string): void => {
      ready.reject(new Error(why))
      this.#leave(thread, why)
    }
    worker.on('error', (error) => left(explain(error)))
    worker.on('exit', (code) => left(`its thread ended with ${code}`))
    return thread
  }

  #take(thread: Thread, ready: PromiseWithResolvers<void>, message: FromThread): void {
    switch (message.kind) {
      case 'ready':
        if (message.fault === undefined) ready.resolve()
        else ready.reject(this.#unusable(message.fault, message.found))
        if (thread.calls.size === 0) thread.worker.unref()
        return
      case 'answered':
        return thread.calls.get(message.call)?.resolve(message.answers)
      case 'failed':
        return thread.calls.get(message.call)?.reject(new Error(message.found))
      case 'ended':
        return thread.endings.get(message.call)?.()
    }
  }

  /** The next question begins another. */
  #leave(thread: Thread, why: string): void {
    if (this.#thread === thread) this.#thread = undefined
    for (const { reject } of thread.calls.values()) reject(new Error(why))
    for (const heard of thread.endings.values()) heard()
    void thread.worker.terminate()
  }

  #unusable(fault: 'unloaded' | 'no-function', found: string): Failure {
    const { name, path } = this.#settings
    if (fault === 'unloaded')
      return new Failure(
        'configuration',
        `the module ${path} of the upstream ${name} cannot be loaded: ${found}`,
        {
          remedy: `correct it, or the path in upstreams.${name}.module`,
        },
      )
    return new Failure(
      'configuration',
      `the module ${path} of the upstream ${name} exports no function "ask"`,
      {
        remedy:
          'export async function ask(questions, { signal }) { ... }: one answer for each question, in order',
      },
    )
  }
}

function send({ worker }: Thread, message: ToThread): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- it goes to a thread, and no window
  worker.postMessage(message)
}
