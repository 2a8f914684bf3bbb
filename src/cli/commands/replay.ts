import { setTimeout as delay } from 'node:timers/promises'
import { Failure } from '../../change/failure.ts'
import type { ReplayRequest, ReplayStatus } from '../../control/operations.ts'
import { askCancelReplay, askReplay, askReplays, runningDaemon } from '../client.ts'
import { composed, configured, pipelinesNamed } from '../configured.ts'
import { exit, UsageError, type Context } from '../context.ts'
import { showCount } from '../format.ts'
import { fileContent, linesIn } from '../lines.ts'
import type { ReplayPreview } from '../parts.ts'
import { configurationOptions, jsonOption, type Arguments, type Command } from '../usage.ts'

export const replay: Command = {
  name: 'replay',
  summary: 'Deliver again what a stretch of the log is about.',
  positionals: 'PIPELINE[@TARGET]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    from: { value: 'PLACE', help: 'Where the stretch begins: earliest, a time, an offset or a GTID set.' },
    to: { value: 'PLACE', help: 'Where it ends. Default: the present end of the log' },
    keys: { value: 'FILE', help: 'Only rows whose keys are in this file, one a line; 10,000 at most.' },
    rate: { value: 'COUNT', help: 'So many rows a second at most. Default: 0 = as delivery goes' },
    'dry-run': { help: 'Say what would be done, and do nothing.' },
    wait: { help: 'End only when the documents are written; show progress until then.' },
    cancel: { help: 'End the replay that is under way.' },
    url: { value: 'URL', help: 'Ask the daemon at this address.' },
  },
  about: `Every row that a record in the stretch is about is delivered once more, as it is now: the daemon puts its key into the log
behind everything that is on its way, and when its turn comes the row is read and its document written, or deleted. So no
reader ever sees a deleted document return or an older version, and a row that changed a thousand times is written once.
A document that shows rows of other tables is delivered again where one of those changed, too.

PLACE is one of
  earliest                the oldest record that the log keeps
  2026-11-22T10:00:00Z    what was appended then or later; also 90s, 30m, 2h, 3d: so long ago
  123456                  an offset of the log, as millrace log shows it
  a GTID set              what was captured after it

The daemon goes on by itself, over restarts too; one replay of a pipeline is under way at a time. Without --from the command
shows the last one. Rows that were removed by TRUNCATE or the like name no keys: the command says so; run --reload removes
their documents.`,
  examples: [
    ['millrace replay orders --from 2h --dry-run', 'how many rows changed in the last two hours'],
    [
      'millrace replay orders@backup --from 2026-11-22T10:00:00Z --wait',
      'one target, restored from ten o’clock',
    ],
    ['millrace replay orders --from earliest --rate 500', 'all that the log knows, slowly'],
    ['millrace replay orders', 'how far it is'],
  ],
  exits: [
    '0  done, or begun',
    '1  it failed or was cancelled (with --wait), or there is none to show or to cancel',
    '3  no daemon answers',
  ],
  async run(args, context) {
    const [pipeline = ''] = args.positionals
    const from = args.value('from')
    if (args.has('cancel')) return await cancel(pipeline, args, context)
    if (from === undefined) return await show(pipeline, args, context)
    const [to, file] = [args.value('to'), args.value('keys')]
    const request: ReplayRequest = {
      pipeline,
      from,
      ...(to === undefined ? {} : { to }),
      keysPerSecond: rateOf(args.value('rate') ?? '0'),
      ...(file === undefined ? {} : { keys: await keysIn(file, context) }),
    }
    if (args.has('dry-run')) return await preview(request, args, context)
    const address = addressOf(args, context)
    const begun = await askReplay(address, request, context.signal)
    if (args.has('wait')) return await untilEnd(address, begun, args, context)
    tell(begun, args, context)
    return exit.ok
  },
}

function rateOf(text: string): number {
  if (/^\d{1,8}$/.test(text)) return Number(text)
  throw new UsageError(`--rate is a number of rows, not "${text}"`)
}

function addressOf(args: Arguments, context: Context): string {
  return args.value('url') ?? runningDaemon(configured(args, context, true).settings.state)
}

async function cancel(pipeline: string, args: Arguments, context: Context): Promise<number> {
  if (await askCancelReplay(addressOf(args, context), pipeline, context.signal)) {
    context.out(`the replay of ${pipeline} is cancelled; what is in the log already is delivered`)
    return exit.ok
  }
  context.err(`no replay of ${pipeline} is under way`)
  return exit.bad
}

async function show(pipeline: string, args: Arguments, context: Context): Promise<number> {
  const found = await lastOf(addressOf(args, context), pipeline, context.signal)
  if (found === undefined) {
    context.err(`there was no replay of ${pipeline}; --from PLACE begins one`)
    return exit.bad
  }
  tell(found, args, context)
  return exit.ok
}

async function lastOf(
  address: string,
  pipeline: string,
  signal: AbortSignal,
): Promise<ReplayStatus | undefined> {
  return (await askReplays(address, signal)).find((each) => each.pipeline === pipeline)
}

async function untilEnd(
  address: string,
  begun: ReplayStatus,
  args: Arguments,
  context: Context,
): Promise<number> {
  for (let status = begun; ;) {
    if (status.endedAt !== null) {
      tell(status, args, context)
      return status.phase === 'done' ? exit.ok : exit.bad
    }
    context.progress(describe(status))
    await delay(pollMs, undefined, { signal: context.signal })
    status = (await lastOf(address, begun.pipeline, context.signal)) ?? status
  }
}

const pollMs = 200

async function preview(request: ReplayRequest, args: Arguments, context: Context): Promise<number> {
  if (args.has('wait')) throw new UsageError('--wait does not go with --dry-run')
  const { pipeline, from, to, keys: only } = request
  const configuration = configured(args, context)
  const [meant] = pipelinesNamed(configuration, pipeline)
  const parts = await composed(configuration, context)
  const place = { addressee: pipeline, from, ...(to === undefined ? {} : { to }) }
  const wanted = only === undefined ? place : { ...place, only }
  const keys = parts.previewReplay(meant, wanted, context.signal)
  let count = 0
  let next = await keys.next()
  for (; next.done !== true; next = await keys.next()) {
    count++
    if (count % shownEvery === 0) context.progress(`${showCount(count)} rows`)
  }
  tellPreview({ ...next.value, pipeline, keys: count }, args, context)
  return exit.ok
}

const shownEvery = 1000

async function keysIn(file: string, { workingDirectory }: Context): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const line of linesIn(fileContent(workingDirectory, file)))
    if (line.trim() !== '') keys.push(line.trim())
  if (keys.length > 0) return keys
  throw new Failure('configuration', `the file ${file} holds no keys`)
}

function tellPreview(
  found: ReplayPreview & { readonly pipeline: string; readonly keys: number },
  args: Arguments,
  context: Context,
): void {
  const { from, to, records, keys, barriers } = found
  if (args.has('json')) context.out(JSON.stringify(found))
  else {
    context.out(
      `offsets ${from} to ${to}: ${showCount(records)} records of its tables, ${showCount(keys)} rows would be delivered again`,
    )
    warn(barriers, context)
  }
}

function tell(status: ReplayStatus, args: Arguments, context: Context): void {
  if (args.has('json')) return context.out(JSON.stringify(status))
  context.out(describe(status))
  if (status.failure !== null) context.err(status.failure)
  warn(status.barriers, context)
}

function warn(barriers: readonly string[], { err }: Context): void {
  if (barriers.length === 0) return
  err(`in this stretch: ${[...new Set(barriers)].join('; ')}`)
  err(
    '  the rows that this removed are not known by key: millrace run --reload PIPELINE removes their documents',
  )
}

function describe({ pipeline, phase, from, to, share, touched }: ReplayStatus): string {
  const percent = `${Math.floor(share * 100)} %`
  const state = phase === 'touching' ? `${percent} of the rows are in the log` : phase
  return `replay of ${pipeline}, offsets ${from} to ${to}: ${state}, ${showCount(touched)} rows`
}
