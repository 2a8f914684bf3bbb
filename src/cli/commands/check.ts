import type { Configuration } from '../../config/load.ts'
import { groupOf } from '../../config/pipeline.ts'
import { composed, configured } from '../configured.ts'
import { exit, type Context } from '../context.ts'
import { tableOf } from '../table.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

export const check: Command = {
  name: 'check',
  summary: 'Check the configuration files, without connecting to anything.',
  positionals: '',
  options: { ...configurationOptions, ...jsonOption },
  about: `Reads the settings and every pipeline file and names everything that is wrong with them: unknown keys with what was
probably meant, values that do not fit, references that are not set, two pipelines that fill one index, transforms that
cannot be loaded. For what only the servers know, such as whether the columns exist, there is millrace doctor.`,
  examples: [
    ['millrace check', 'before a commit, or before a restart'],
    ['millrace check --config deploy/production.yaml --json', 'what the pipelines come to, for programs'],
  ],
  exits: ['0  all is well'],
  async run(args, context) {
    const configuration = configured(args, context)
    const { pipelines, settings } = configuration
    await loadTransforms(configuration, context)
    if (args.has('json')) {
      context.out(
        JSON.stringify({ pipelines }, (_, value: unknown) =>
          typeof value === 'bigint' ? `${value}` : value,
        ),
      )
      return exit.ok
    }
    const columns = [
      { title: 'PIPELINE', text: (pipeline: (typeof pipelines)[number]) => pipeline.name },
      { title: 'SOURCE', text: (pipeline: (typeof pipelines)[number]) => pipeline.source },
      { title: 'TABLE', text: (pipeline: (typeof pipelines)[number]) => pipeline.definition.table },
      { title: 'INDEX', text: (pipeline: (typeof pipelines)[number]) => pipeline.target.index },
      { title: 'GROUP', text: (pipeline: (typeof pipelines)[number]) => groupOf(pipeline) },
      { title: 'FILE', text: (pipeline: (typeof pipelines)[number]) => pipeline.origin },
    ]
    if (pipelines.length > 0) for (const line of tableOf(columns, pipelines)) context.out(line)
    const counts = [
      countOf(Object.keys(settings.sources).length, 'source'),
      countOf(Object.keys(settings.targets).length, 'target'),
      countOf(pipelines.length, 'pipeline'),
    ]
    context.out(`ok: ${counts.join(', ')}`)
    return exit.ok
  },
}

/** Throws where one cannot be loaded. */
async function loadTransforms(configuration: Configuration, context: Context): Promise<void> {
  const transforming = configuration.pipelines.filter(({ transform }) => transform !== undefined)
  if (transforming.length === 0) return
  const parts = await composed(configuration, context)
  for (const pipeline of transforming) await parts.transformOf(pipeline)
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
