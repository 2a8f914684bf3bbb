import type { RefreshAnswer, RefreshRequest } from '../../control/operations.ts'
import { askRefresh, runningDaemon } from '../client.ts'
import { configured } from '../configured.ts'
import { exit, UsageError } from '../context.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

export const refresh: Command = {
  name: 'refresh',
  summary: 'Ask upstreams anew and make the documents once more, when they know something else.',
  positionals: '[PIPELINE[@TARGET]]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    upstream: { value: 'NAME', help: 'In place of a pipeline: every pipeline that asks this upstream.' },
    rate: { value: 'COUNT', help: 'So many rows a second at most. Default: as fast as other loads.' },
    url: { value: 'URL', help: 'Ask the daemon at this address, without reading any configuration.' },
  },
  about: `What an upstream says may change while no row does. A refresh reads the pipeline's table once more, row by row, and makes
each document anew; what upstreams said before it is not used any more, wherever it is kept. Nothing is deleted, live changes
stay fresh meanwhile, and a restart of the daemon goes on where it was. millrace status shows how far it is.

A schedule in the pipeline file does the same by itself:
  refresh: { schedule: "0 3 * * *", timezone: Europe/Berlin, rowsPerSecond: 500 }

For a few documents: millrace touch PIPELINE KEY... (answers that are kept and still fresh are used then).`,
  examples: [
    ['millrace refresh --upstream weather', 'the service has new data'],
    ['millrace refresh orders --rate 500', 'slowly, so that the upstreams have time for others'],
  ],
  exits: ['0  begun', '1  the daemon refused, or the tables are being read already', '3  no daemon answers'],
  async run(args, context) {
    const [pipeline] = args.positionals
    const upstream = args.value('upstream')
    if ((pipeline === undefined) === (upstream === undefined))
      throw new UsageError('name a pipeline, or an upstream with --upstream')
    const rate = args.value('rate')
    const request: RefreshRequest = {
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(upstream === undefined ? {} : { upstream }),
      ...(rate === undefined ? {} : { rowsPerSecond: rateOf(rate) }),
    }
    const address = args.value('url') ?? runningDaemon(configured(args, context, true).settings.state)
    const answer = await askRefresh(address, request, context.signal)
    if (args.has('json')) context.out(JSON.stringify(answer))
    else for (const line of linesOf(answer)) context.out(line)
    return answer.groups.length > 0 ? exit.ok : exit.bad
  },
}

function rateOf(text: string): number {
  if (/^[1-9]\d{0,7}$/.test(text)) return Number(text)
  throw new UsageError(`--rate is a number of rows, not "${text}"`)
}

function linesOf({ groups, busy }: RefreshAnswer): readonly string[] {
  return [
    ...groups.map((group) => `${group}: every document is made anew`),
    ...busy.map(
      (group) => `${group}: its table is being read already; begin the refresh when that has ended`,
    ),
  ]
}
