/** The parts at work: started in order, restarted with backoff, stopped in reverse; a signal drains, a deadline aborts. */
import type { Clock } from './pipeline/clock.ts'
import type { Observe } from './pipeline/facts.ts'
import type { Feed } from './pipeline/feed.ts'
import type { Pipeline } from './pipeline/pipeline.ts'
import { Failure } from './change/failure.ts'
import type { Replays } from './pipeline/replay.ts'
import { supervise } from './pipeline/supervise.ts'
import { watch, type WatchParts } from './pipeline/watch.ts'

export interface DaemonSource {
  readonly name: string
  readonly feed: Feed
  readonly watch: WatchParts
  readonly replays: Pick<Replays, 'run'>
  readonly close: () => Promise<void>
}

export interface DaemonPipeline {
  readonly name: string
  readonly group: string
  readonly pipeline: Pipeline
  readonly close: () => Promise<void>
}

/** What works for several pipelines, or for all targets of one. */
export interface DaemonHelper {
  readonly name: string
  readonly run: (signal: AbortSignal) => Promise<void>
  /** Told when it cannot go on; those for whom it works fail with it. */
  readonly failed: (failure: Failure) => void
}

export interface DaemonParts {
  readonly helpers?: readonly DaemonHelper[]
  readonly sources: readonly DaemonSource[]
  readonly pipelines: readonly DaemonPipeline[]
  readonly clock: Clock
  readonly observe: Observe
  /** How long a drain may take before what is still being written is given up, ms. */
  readonly drainMs: number
  /** Gives up what is being written. */
  readonly abort: AbortController
}

export class Daemon {
  readonly #parts: DaemonParts
  readonly #failures: Failure[] = []

  constructor(parts: DaemonParts) {
    this.#parts = parts
  }

  /** Runs until the signal aborts. Throws the first Failure when nothing that it was to do is left to do. */
  async run(signal: AbortSignal): Promise<void> {
    const { sources, pipelines, helpers = [], observe } = this.#parts
    const stop = new AbortController()
    const ending = AbortSignal.any([signal, stop.signal])
    const beside = [
      ...sources.flatMap((source) => [
        this.#runBeside(source, 'watch', (over) => watch(source.watch, over), ending),
        this.#runBeside(source, 'replays', (over) => source.replays.run(over), ending),
      ]),
      ...helpers.map((helper) => this.#help(helper, ending)),
    ]
    const works = [
      ...sources.map((source) => this.#runSource(source, ending)),
      ...pipelines.map((pipeline) => this.#runPipeline(pipeline, ending)),
    ]
    const deadline = this.#deadline(signal)
    try {
      await this.#allEnded(works, pipelines.length)
    } finally {
      stop.abort()
      await Promise.allSettled([...works, ...beside])
      deadline.cancel()
      for (const { close } of [...pipelines, ...sources]) await close()
    }
    observe({ kind: 'stopped' })
    const [first] = this.#failures
    if (first !== undefined && !signal.aborted) throw first
  }

  /** Resolves when all have ended, or when no pipeline or no source is left. */
  async #allEnded(works: readonly Promise<'source' | 'pipeline'>[], pipelines: number): Promise<void> {
    const left = { source: works.length - pipelines, pipeline: pipelines }
    const ended = Promise.withResolvers<void>()
    const count = async (work: Promise<'source' | 'pipeline'>): Promise<void> => {
      const kind = await work
      left[kind]--
      if (left[kind] === 0) ended.resolve()
    }
    await Promise.race([ended.promise, Promise.all(works.map(count))])
  }

  async #runSource({ name, feed }: DaemonSource, signal: AbortSignal): Promise<'source'> {
    const { clock, observe } = this.#parts
    const tell: Observe = (fact) => {
      observe(fact)
      if (fact.kind === 'restarting') {
        observe({ kind: 'source-state', source: name, state: 'waiting', failure: fact.failure })
      }
    }
    try {
      await supervise(
        { part: `capture of ${name}`, clock, observe: tell },
        (ending) => feed.run(ending),
        signal,
      )
      observe({ kind: 'source-state', source: name, state: 'stopped', failure: undefined })
    } catch (error) {
      this.#note(error)
      observe({ kind: 'source-state', source: name, state: 'failed', failure: error as Failure })
    }
    return 'source'
  }

  async #runPipeline({ name, group, pipeline }: DaemonPipeline, signal: AbortSignal): Promise<'pipeline'> {
    const { clock, observe } = this.#parts
    const tell: Observe = (fact) => {
      observe(fact)
      if (fact.kind === 'restarting') {
        observe({ kind: 'pipeline-state', pipeline: name, group, state: 'waiting', failure: fact.failure })
      }
    }
    try {
      await supervise(
        { part: `pipeline ${name}`, clock, observe: tell },
        (ending) => pipeline.run(ending),
        signal,
      )
      observe({ kind: 'pipeline-state', pipeline: name, group, state: 'stopped', failure: undefined })
    } catch (error) {
      this.#note(error)
      observe({ kind: 'pipeline-state', pipeline: name, group, state: 'failed', failure: error as Failure })
    }
    return 'pipeline'
  }

  async #help({ name: part, run, failed }: DaemonHelper, signal: AbortSignal): Promise<void> {
    const { clock, observe } = this.#parts
    try {
      await supervise({ part, clock, observe }, run, signal)
    } catch (error) {
      this.#note(error)
      failed(error as Failure)
    }
  }

  /** What goes along with a source as long as anything runs. */
  async #runBeside(
    source: DaemonSource,
    what: string,
    run: (ending: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, observe } = this.#parts
    try {
      await supervise({ part: `${what} of ${source.name}`, clock, observe }, run, signal)
    } catch (error) {
      this.#note(error)
      observe({ kind: 'source-state', source: source.name, state: 'failed', failure: error as Failure })
    }
  }

  /** A bug is not ours to keep: it goes on to whoever started us. */
  #note(error: unknown): void {
    if (!(error instanceof Failure)) throw error
    this.#failures.push(error)
  }

  #deadline(signal: AbortSignal): { cancel: () => void } {
    const { clock, drainMs, observe, abort } = this.#parts
    const cancelled = new AbortController()
    const begin = (): void => {
      observe({ kind: 'stopping', reason: String(signal.reason) })
      void clock.sleep(drainMs, cancelled.signal).then(
        () => abort.abort(),
        () => undefined,
      )
    }
    if (signal.aborted) begin()
    else signal.addEventListener('abort', begin, { once: true })
    return { cancel: () => cancelled.abort() }
  }
}
