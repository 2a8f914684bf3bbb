import type { SteerAction } from '../../control/operations.ts'
import { askToSteer, runningDaemon } from '../client.ts'
import { configured } from '../configured.ts'
import { exit, UsageError } from '../context.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

const actions = ['pause', 'resume', 'reload'] as const satisfies readonly SteerAction[]

const done: Readonly<Record<SteerAction, string>> = {
  pause: 'paused',
  resume: 'running',
  reload: 'reading its table again',
}

export const pipelines: Command = {
  name: 'pipelines',
  summary: 'Pause, resume or reload a pipeline while the daemon runs.',
  positionals: 'pause|resume|reload PIPELINE[@TARGET]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    url: { value: 'URL', help: 'Ask the daemon at this address, without reading any configuration.' },
  },
  about: `pause    what is being written is finished, then nothing more is delivered; changes are captured all the same and wait
         in the log. A pause outlives a restart of the daemon
resume   goes on where it was; also where the pipeline failed, or was stopped because its documents failed alike
reload   reads the table again from the first row, and deletes what is gone; the others go on meanwhile

PIPELINE means every target of the pipeline, PIPELINE@TARGET one of them. millrace status shows what each is doing.`,
  examples: [
    ['millrace pipelines pause orders', 'before a change of its cluster'],
    ['millrace pipelines resume orders', 'when that is done'],
    ['millrace pipelines reload orders@backup', 'after the backup was away for too long'],
  ],
  exits: ['0  done', '1  the daemon refused, for the reason that it gives', '3  no daemon answers'],
  async run(args, context) {
    const [word = '', pipeline = ''] = args.positionals
    const action = actions.find((each) => each === word)
    if (action === undefined)
      throw new UsageError(`millrace pipelines knows ${actions.join(', ')}, not "${word}"`)
    const address = args.value('url') ?? runningDaemon(configured(args, context, true).settings.state)
    const answer = await askToSteer(address, { pipeline, action }, context.signal)
    if (args.has('json')) context.out(JSON.stringify({ action, ...answer }))
    else for (const group of answer.groups) context.out(`${group}: ${done[action]}`)
    return exit.ok
  },
}
