import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { Failure } from '../../change/failure.ts'
import { generatedFiles } from '../../config/example.ts'
import { configurationOf, type Configuration } from '../../config/load.ts'
import { composed, configured } from '../configured.ts'
import { exit, UsageError, type Context } from '../context.ts'
import { pipelineDraft } from '../draft.ts'
import type { Parts } from '../parts.ts'
import { configurationOptions, type Arguments, type Command } from '../usage.ts'

export const init: Command = {
  name: 'init',
  summary: 'Write a pipeline file from a live table, and the settings when there are none yet.',
  positionals: '',
  options: {
    ...configurationOptions,
    source: {
      value: 'URL',
      help: 'mysql://user:password@host:port/, or the name of a source in the settings',
    },
    table: { value: 'SCHEMA.TABLE', help: 'The table that an index is to follow.' },
    out: { value: 'FILE', help: 'The pipeline file. Default: config/pipelines/TABLE.yaml' },
  },
  about: `Looks at the table and writes a pipeline file with every column as a field, each with its type and the mapping that it
gets, to be cut down and renamed by hand. Where there is no config/millrace.yaml yet it is written too; it takes the
addresses of the servers, passwords included, from the environment: nothing secret is written to a file. Files that exist
are left alone.`,
  examples: [
    ['millrace init --source mysql://app:secret@127.0.0.1:3306/ --table shop.orders', 'the first pipeline'],
    ['millrace init --source main --table shop.customers', 'one more, from a source in the settings'],
    [
      'millrace init --source main --table shop.orders --out config/pipelines/search.yaml',
      'under another name',
    ],
  ],
  exits: ['0  written', '3  the source cannot be reached'],
  async run(args, context) {
    const [source, table] = [args.value('source'), args.value('table')]
    if (source === undefined || table === undefined)
      throw new UsageError('millrace init needs --source and --table')
    const isUrl = source.includes('://')
    const configuration = isUrl ? fromUrl(source, context) : configured(args, context)
    const out = outFile(args, table, isUrl ? undefined : configuration, context)
    if (existsSync(out.path))
      throw new Failure('configuration', `${out.shown} exists already`, { remedy: 'name another with --out' })
    const parts = await composed(configuration, context)
    const draft = await draftOf(parts, isUrl ? 'main' : source, table)
    write(out.path, draft)
    context.out(`wrote ${out.shown}`)
    const settingsFile = args.value('config') ?? join('config', 'millrace.yaml')
    if (isUrl) writeSettings(settingsFile, context)
    context.out('next: millrace doctor, then millrace run')
    return exit.ok
  },
}

function fromUrl(url: string, context: Context): Configuration {
  const configuration = configurationOf({ sources: { main: { url } } }, context.workingDirectory)
  context.redactWith(configuration.redact)
  return configuration
}

function outFile(
  args: Arguments,
  table: string,
  configuration: Configuration | undefined,
  { workingDirectory }: Context,
): { readonly path: string; readonly shown: string } {
  const settingsFile = args.value('config') ?? join('config', 'millrace.yaml')
  const folder = configuration?.settings.pipelines ?? join(dirname(settingsFile), 'pipelines')
  const name = table.slice(table.indexOf('.') + 1).toLowerCase()
  const path = resolve(
    workingDirectory,
    args.value('out') ?? join(folder, `${name.replaceAll(/[^a-z0-9_-]/g, '-')}.yaml`),
  )
  return { path, shown: relative(workingDirectory, path) }
}

async function draftOf(parts: Parts, source: string, name: string): Promise<string> {
  const opened = await parts.openSource(source)
  try {
    const description = await opened.describe(name)
    return pipelineDraft({ source, ...description, mappings: parts.proposeMappings(description.table) })
  } finally {
    await opened.close()
  }
}

/** The example of all settings beside its schemas; what it needs from the environment is said. */
function writeSettings(file: string, context: Context): void {
  const path = resolve(context.workingDirectory, file)
  if (existsSync(path)) return
  const files = generatedFiles()
  write(path, files['millrace.yaml'] ?? '')
  for (const name of ['millrace.schema.json', 'pipeline.schema.json']) {
    const schema = join(dirname(path), name)
    if (!existsSync(schema)) write(schema, files[name] ?? '')
  }
  context.out(`wrote ${file}; it takes the servers from the environment:`)
  context.out('  export MYSQL_URL=mysql://user:password@host:port/')
  context.out('  export ELASTICSEARCH_URL=http://host:9200')
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content, { flag: 'wx' })
}
