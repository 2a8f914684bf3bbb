/** The configuration that a command's options name. */
import { Failure } from '../change/failure.ts'
import { loadConfiguration, loadPipelineFile, type Configuration } from '../config/load.ts'
import { isMeant, type Pipeline } from '../config/pipeline.ts'
import { nearest } from '../config/problems.ts'
import type { Context } from './context.ts'
import type { Parts } from './parts.ts'
import type { Arguments } from './usage.ts'

/** `offline`: for commands that log in nowhere; secrets that are not set are no problem then. */
export function configured(
  args: Arguments,
  context: Context,
  offline = false,
  more: readonly string[] = [],
): Configuration {
  const { environment, workingDirectory } = context
  const file = args.value('config')
  const overrides = [...args.values('set'), ...more]
  const configuration = loadConfiguration({ environment, workingDirectory, file, overrides, offline })
  context.redactWith(configuration.redact)
  return configuration
}

/** The pipeline of a file that is not among those of the configuration; of several targets, that of the first. */
export function pipelineFrom(args: Arguments, context: Context, path: string): Pipeline {
  const { environment, workingDirectory } = context
  const request = { environment, workingDirectory, file: args.value('config'), overrides: args.values('set') }
  const [pipeline] = loadPipelineFile(request, path)
  if (pipeline === undefined) throw new Failure('configuration', `${path} holds no pipeline`)
  return pipeline
}

export async function composed(configuration: Configuration, context: Context): Promise<Parts> {
  const compose = await context.compose()
  return compose(configuration)
}

/** Each target's way of `PIPELINE`, or the one of `PIPELINE@TARGET`. Throws a Failure, with a suggestion where one is near. */
export function pipelinesNamed(
  configuration: Configuration,
  name: string,
): readonly [Pipeline, ...Pipeline[]] {
  const [first, ...more] = configuration.pipelines.filter((each) => isMeant(each, [name]))
  if (first !== undefined) return [first, ...more]
  const names = [...new Set(configuration.pipelines.flatMap((each) => [each.name, each.label]))]
  const suggestion = nearest(name, names)
  const remedy = suggestion === undefined ? `there are: ${names.join(', ')}` : `did you mean "${suggestion}"?`
  throw new Failure('configuration', `there is no pipeline "${name}"`, { remedy })
}

/** Throws a Failure when there is nothing to work on. */
export function needPipelines({ pipelines, settings }: Configuration): void {
  if (pipelines.length > 0) return
  throw new Failure('configuration', `there is no pipeline file in ${settings.pipelines}`, {
    remedy: 'millrace init --source URL --table SCHEMA.TABLE writes one from a table',
  })
}
