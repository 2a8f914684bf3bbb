import { composed, configured, needPipelines, pipelinesNamed } from '../configured.ts'
import { exit } from '../context.ts'
import { configurationOptions, type Command } from '../usage.ts'

export const run: Command = {
  name: 'run',
  summary: 'Run the daemon: keep every pipeline going until stopped.',
  positionals: '',
  options: {
    ...configurationOptions,
    roles: {
      value: 'ROLES',
      help: 'What this process does, of capture, deliver and control, with commas between. Default: the setting roles',
    },
    reload: {
      value: 'PIPELINE[@TARGET]',
      repeatable: true,
      help: 'Read its table again from the first row, and delete what is gone.',
    },
    keep: {
      value: 'PIPELINE[@TARGET]',
      repeatable: true,
      help: 'Accept its changed file for changes to come, without reading the table again.',
    },
    adopt: {
      value: 'PIPELINE[@TARGET]',
      repeatable: true,
      help: 'Take over an index that millrace did not fill; documents that the table lacks are deleted.',
    },
  },
  about: `Reads the changes of every source, keeps them in the log, and delivers them. A new pipeline first reads its table,
while changes flow. A pipeline whose file has changed in a way that alters documents does not start until --reload or
--keep says what to do about the documents that are there.

Where log.kind is kafka and store.kind is mysql, any number of processes share the work: of those that capture one leads for
each source and the others stand by; those that deliver share the lanes of each pipeline.

A server that is away, also at the start, is waited for: the log and /readyz say which.

SIGTERM or Ctrl-C: what is being written is finished, the state is saved, and the process ends with 0. A second one ends
it at once; nothing is lost, a little is written twice at the next start.`,
  examples: [
    ['millrace run', 'with config/millrace.yaml and config/pipelines/'],
    ['millrace run --roles capture,control', 'captures, or stands by; delivers nothing'],
    ['millrace run --reload orders', 'reads the table of the pipeline orders again'],
    ['millrace run --reload orders@backup', 'the same for one of its targets alone'],
    [
      'MILLRACE_LOGGER_LEVEL=debug millrace run --set control.port=0',
      'settings from the environment and from here',
    ],
  ],
  exits: [
    '0  stopped as asked',
    '1  no pipeline can go on; the reason is printed',
    '130  ended at once by a second signal',
  ],
  async run(args, context) {
    const roles = args.value('roles')
    const configuration = configured(args, context, false, roles === undefined ? [] : [`roles=${roles}`])
    needPipelines(configuration)
    const [reload, keep, adopt] = ['reload', 'keep', 'adopt'].map((option) => args.values(option))
    const options = { reload: reload ?? [], keep: keep ?? [], adopt: adopt ?? [] }
    for (const name of Object.values(options).flat()) pipelinesNamed(configuration, name)
    const parts = await composed(configuration, context)
    await parts.runDaemon(options, context.signal)
    return exit.ok
  },
}
