/** The parts at work: started in order, restarted with backoff, stopped in reverse; a signal drains, a deadline aborts. */
import type { Clock } from './pipeline/clock.ts'
import type { Observe, PipelineState } from './pipeline/facts.ts'
import type { Feed } from './pipeline/feed.ts'
import type { Lever } from './pipeline/lever.ts'
import type { Pipeline } from './pipeline/pipeline.ts'
import type { Failure } from './change/failure.ts'
import { failureOf } from './pipeline/retry-policy.ts'
import { supervise } from './pipeline/supervise.ts'
import { watch, type WatchParts } from './pipeline/watch.ts'

export interface DaemonSource {
  readonly name: string
  readonly feed: Pick<Feed, 'run'>
  readonly watch: WatchParts
  readonly close: () => Promise<void>
}

export interface DaemonPipeline {
  readonly name: string
  readonly group: string
  readonly pipeline: Pipeline
  readonly lever: Lever
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
  /** Of parts that have ended, by the part. */
  readonly #failures = new Map<DaemonSource | DaemonPipeline | DaemonHelper, Failure>()
  readonly #left: Record<'source' | 'pipeline', number>
  readonly #over = Promise.withResolvers<void>()

  constructor(parts: DaemonParts) {
    this.#parts = parts
    this.#left = { source: parts.sources.length, pipeline: parts.pipelines.length }
  }

  /** Runs until the signal aborts. Throws the first Failure when nothing that it was to do is left to do. */
  async run(signal: AbortSignal): Promise<void> {
    const { sources, pipelines, helpers = [], observe } = this.#parts
    const stop = new AbortController()
    const ending = AbortSignal.any([signal, stop.signal])
    const beside = [
      ...sources.flatMap((source) => [
        this.#runBeside(source, 'watch', (over) => watch(source.watch, over), ending),
      ]),
      ...helpers.map((helper) => this.#help(helper, ending)),
    ]
    const works = [
      ...sources.map((source) => this.#runSource(source, ending)),
      ...pipelines.map((pipeline) => this.#runPipeline(pipeline, ending)),
    ]
    const deadline = this.#deadline(signal)
    try {
      await Promise.race([this.#over.promise, Promise.all(works)])
    } finally {
      stop.abort()
      await Promise.allSettled([...works, ...beside])
      deadline.cancel()
      for (const { close } of [...pipelines, ...sources]) await close()
    }
    observe({ kind: 'stopped' })
    const [first] = this.#failures.values()
    if (first !== undefined && !signal.aborted) throw first
  }

  /** When no pipeline or no source is left there is nothing left to do. */
  #ended(kind: 'source' | 'pipeline', part: DaemonSource | DaemonPipeline, failure: Failure): void {
    this.#failures.set(part, failure)
    if (--this.#left[kind] === 0) this.#over.resolve()
  }

  async #runSource(source: DaemonSource, signal: AbortSignal): Promise<void> {
    const { clock, observe } = this.#parts
    const { name, feed } = source
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
      const failure = failureOf(error)
      observe({ kind: 'source-state', source: name, state: 'failed', failure })
      this.#ended('source', source, failure)
    }
  }

  /** As often as a person wants it to. */
  async #runPipeline(part: DaemonPipeline, signal: AbortSignal): Promise<void> {
    const { lever } = part
    let failure: Failure | undefined
    while (!signal.aborted) {
      const seen = lever.moves
      failure = lever.isPaused ? undefined : await this.#runOnce(part, signal)
      if (signal.aborted) break
      if (failure !== undefined) {
        await this.#untilMoved(part, { failure, seen }, signal)
      } else if (lever.isPaused) {
        this.#state(part, 'paused')
        await lever.next(lever.moves, signal).catch(() => undefined)
      }
    }
    if (failure === undefined) this.#state(part, 'stopped')
  }

  /** Runs it until it fails, or is to end. */
  async #runOnce(part: DaemonPipeline, signal: AbortSignal): Promise<Failure | undefined> {
    const { clock, observe } = this.#parts
    const tell: Observe = (fact) => {
      observe(fact)
      if (fact.kind === 'restarting') this.#state(part, 'waiting', fact.failure)
    }
    const ending = AbortSignal.any([signal, part.lever.off])
    try {
      await supervise(
        { part: `pipeline ${part.name}`, clock, observe: tell },
        (stopping) => part.pipeline.run(stopping),
        ending,
      )
      return undefined
    } catch (error) {
      return failureOf(error)
    }
  }

  /** What failed for good counts as ended until somebody starts it again; what the breaker stopped waits for that. */
  async #untilMoved(
    part: DaemonPipeline,
    { failure, seen }: { readonly failure: Failure; readonly seen: number },
    signal: AbortSignal,
  ): Promise<void> {
    this.#state(part, 'failed', failure)
    const isOver = failure.kind !== 'rejected'
    if (isOver) this.#ended('pipeline', part, failure)
    await part.lever.next(seen, signal).catch(() => undefined)
    if (signal.aborted || !isOver) return
    this.#failures.delete(part)
    this.#left.pipeline++
  }

  #state({ name, group }: DaemonPipeline, state: PipelineState, failure?: Failure): void {
    this.#parts.observe({ kind: 'pipeline-state', pipeline: name, group, state, failure })
  }

  async #help(helper: DaemonHelper, signal: AbortSignal): Promise<void> {
    const { clock, observe } = this.#parts
    try {
      await supervise({ part: helper.name, clock, observe }, helper.run, signal)
    } catch (error) {
      const failure = failureOf(error)
      this.#failures.set(helper, failure)
      helper.failed(failure)
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
      const failure = failureOf(error)
      this.#failures.set(source, failure)
      observe({ kind: 'source-state', source: source.name, state: 'failed', failure })
    }
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
