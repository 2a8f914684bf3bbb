/** What writes a pipeline's documents: within the limits of its target, and the work of tasks by the way that is meant for it. */
import { Failure } from '../change/failure.ts'
import type { Pipeline } from '../config/pipeline.ts'
import { heedingRemarks } from '../pipeline/delivery/remarks.ts'
import type { TargetFlow } from '../pipeline/delivery/target-flow.ts'
import { tasksApart } from '../pipeline/delivery/tasks-apart.ts'
import type { IndexState, Sink } from '../sink/sink.ts'
import type { Target } from './target.ts'

export interface SinkParts {
  readonly targets: ReadonlyMap<string, Target>
  readonly flows: ReadonlyMap<string, TargetFlow>
  readonly requestBytesMax: number
}

/** A sink that writes to this very index. */
export function sinkOf(file: Pipeline, index: IndexState, parts: SinkParts): Sink {
  const through = (target: string): Sink => {
    const sink = targetNamed(parts.targets, target).sink(file, index, parts.requestBytesMax)
    return parts.flows.get(target)?.through(sink) ?? sink
  }
  const { name, ofTasks } = file.target
  const own = through(name)
  return heedingRemarks(ofTasks === undefined ? own : tasksApart(own, through(ofTasks)))
}

/** The targets that pipelines write through, each once. */
export function targetNames(pipelines: readonly Pipeline[]): readonly string[] {
  return [...new Set(pipelines.flatMap(({ target: { name, ofTasks } }) => [name, ofTasks ?? name]))]
}

/** Throws a Failure of kind `configuration`. */
export function targetNamed(targets: ReadonlyMap<string, Target>, name: string): Target {
  const target = targets.get(name)
  if (target === undefined) throw new Failure('configuration', `there is no target ${name}`)
  return target
}
