/** The operation "touch" over the sources that a daemon serves. */
import { nearest } from '../config/problems.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import { Failure } from '../change/failure.ts'
import type { TouchAnswer, TouchRequest } from '../control/operations.ts'
import { touchKeys, type TouchKeysParts } from '../pipeline/capture/touch-keys.ts'

export type TouchableSource = TouchKeysParts & { readonly name: string }

/** Throws a Failure of kind `configuration` for a pipeline that is not there, `transient` while its source is not captured. */
export async function touchPipeline(
  pipelines: readonly Pipeline[],
  sources: readonly TouchableSource[],
  { pipeline: name, keys }: TouchRequest,
  signal: AbortSignal,
): Promise<TouchAnswer> {
  const pipeline = meantPipeline(pipelines, name)
  const source = sources.find((each) => each.name === pipeline.source)
  if (source === undefined) throw new Error(`the source ${pipeline.source} is not open`)
  const named = { table: pipeline.definition.table, texts: keys, addressee: name }
  const result = await touchKeys(source, named, signal)
  if ('malformed' in result) return { touched: 0, until: 0, malformed: result.malformed }
  return { touched: result.touched.keys, until: result.touched.until, malformed: [] }
}

/** `PIPELINE` or `PIPELINE@TARGET`. Throws a Failure of kind `configuration` for one that is not there. */
export function meantPipeline(pipelines: readonly Pipeline[], name: string): Pipeline {
  const pipeline = pipelines.find((each) => each.name === name || groupOf(each) === name)
  if (pipeline !== undefined) return pipeline
  const names = pipelines.map((each) => each.name)
  const suggestion = nearest(name, names)
  throw new Failure('configuration', `the daemon runs no pipeline "${name}"`, {
    remedy: suggestion === undefined ? `it runs: ${names.join(', ')}` : `did you mean "${suggestion}"?`,
  })
}
