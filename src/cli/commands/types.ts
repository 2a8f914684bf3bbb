import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { composed, configured, needPipelines, pipelinesNamed } from '../configured.ts'
import { exit } from '../context.ts'
import { configurationOptions, type Command } from '../usage.ts'

export const types: Command = {
  name: 'types',
  summary: 'Write the TypeScript types of documents, as a transform gets them.',
  positionals: '[PIPELINE...]',
  options: {
    ...configurationOptions,
    out: { value: 'FILE', help: 'Write them there. Default: print them' },
  },
  about: `Asks each source for the columns of the tables as they are now and writes one interface for each pipeline: the fields of
its documents before the transform, with the forms that the pipeline file gives them. Whole numbers that may lie beyond 2^53
are "number | bigint"; what comes from an upstream is unknown. A transform that is checked with them:

  import type { OrdersDocument } from './types.ts'
  export function transform({ price, ...order }: OrdersDocument) { return { ...order, cents: Number(price) * 100 } }`,
  examples: [
    ['millrace types --out config/pipelines/types.ts', 'of all pipelines'],
    ['millrace types orders', 'of one, to look at'],
  ],
  exits: ['0  written', '3  a source cannot be reached'],
  async run(args, context) {
    const configuration = configured(args, context)
    needPipelines(configuration)
    const names = args.positionals
    const wanted =
      names.length === 0
        ? configuration.pipelines.filter(({ target }) => target.isPrimary)
        : names.flatMap((name) => pipelinesNamed(configuration, name).slice(0, 1))
    const parts = await composed(configuration, context)
    const text = await parts.documentTypes(wanted)
    const file = args.value('out')
    if (file === undefined) context.out(text.trimEnd())
    else {
      writeFileSync(resolve(context.workingDirectory, file), text)
      context.out(`${file}: ${wanted.length} ${wanted.length === 1 ? 'type' : 'types'}`)
    }
    return exit.ok
  },
}
