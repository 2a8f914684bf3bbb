/** Pausing, resuming and reloading pipelines while the daemon runs. A pause outlives the process: it is kept in the store. */
import { groupOf, isMeant, type Pipeline as PipelineFile } from '../config/pipeline.ts'
import { Failure } from '../change/failure.ts'
import type { SteerAction, SteerAnswer } from '../control/operations.ts'
import { Lever } from '../pipeline/lever.ts'
import type { Store } from '../store/store.ts'

interface Steered {
  readonly lever: Lever
  /** The next run reads the table again. */
  readonly wishReload: () => void
}

export class Steering {
  readonly #store: Store
  readonly #pipelines: readonly PipelineFile[]
  readonly #paused: ReadonlySet<string>
  readonly #steered = new Map<string, Steered>()

  private constructor(store: Store, pipelines: readonly PipelineFile[], paused: ReadonlySet<string>) {
    this.#store = store
    this.#pipelines = pipelines
    this.#paused = paused
  }

  /** Reads what is paused. While the store does not answer, nothing counts as paused. */
  static async open(store: Store, pipelines: readonly PipelineFile[]): Promise<Steering> {
    const paused = new Set<string>()
    for (const pipeline of pipelines) {
      const group = groupOf(pipeline)
      const stored = await store.get(nameOf(group)).catch(passing)
      if (stored?.value === pausedValue) paused.add(group)
    }
    return new Steering(store, pipelines, paused)
  }

  /** A lever for the pipeline, as it was left. */
  lever(group: string, wishReload: () => void): Lever {
    const lever = new Lever(this.#paused.has(group))
    this.#steered.set(group, { lever, wishReload })
    return lever
  }

  /** Durable when it resolves. Throws a Failure of kind `configuration` for a pipeline that is not there. */
  async steer(name: string, action: SteerAction): Promise<SteerAnswer> {
    const groups = this.#pipelines.filter((each) => isMeant(each, [name])).map(groupOf)
    if (groups.length === 0) {
      const remedy = `it runs: ${this.#pipelines.map(({ label }) => label).join(', ')}`
      throw new Failure('configuration', `the daemon runs no pipeline "${name}"`, { remedy })
    }
    for (const group of groups) {
      await this.#keep(group, action === 'pause' ? pausedValue : runningValue)
      const steered = this.#steered.get(group)
      if (action === 'reload') steered?.wishReload()
      if (action === 'pause') steered?.lever.pause()
      else steered?.lever.start()
    }
    return { groups }
  }

  async #keep(group: string, value: string): Promise<void> {
    const name = nameOf(group)
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const known = await this.#store.get(name)
      if ((known?.value ?? runningValue) === value) return
      if ((await this.#store.put(name, value, known?.revision ?? 0)) !== undefined) return
    }
    throw new Failure('conflict', `others steer ${group} at the same time`, { remedy: 'try again' })
  }
}

const pausedValue = '"paused"'
const runningValue = '"running"'
const attemptsMax = 10

function nameOf(group: string): string {
  return `steering/${group}`
}

function passing(error: unknown): undefined {
  if (error instanceof Failure && (error.kind === 'transient' || error.kind === 'overload')) return undefined
  throw error
}
