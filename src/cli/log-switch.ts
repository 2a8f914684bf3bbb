/** `millrace log switch KIND`: what it says while and after it works. */
import type { Configuration } from '../config/load.ts'
import { exit, UsageError, type Context } from './context.ts'
import { showCount } from './format.ts'
import type { LogSwitched, LogSwitchPlan, Parts } from './parts.ts'
import { tableOf } from './table.ts'
import type { Arguments } from './usage.ts'

export async function switchLogs(
  { parts, configuration }: { readonly parts: Parts; readonly configuration: Configuration },
  sources: readonly string[],
  args: Arguments,
  context: Context,
): Promise<number> {
  const to = args.positionals[1]
  if (to !== 'embedded' && to !== 'kafka')
    throw new UsageError('millrace log switch needs the kind of log to go on with: embedded or kafka')
  const requests = sources.map((source) => ({ source, to, history: args.has('history') }) as const)
  const plans: LogSwitchPlan[] = []
  for (const request of requests) plans.push(await parts.planLogSwitch(request))
  if (args.has('dry-run')) return tellPlans(plans, args, context)
  for (const [at, request] of requests.entries()) {
    const state = plans[at]?.state
    if (state === 'begun' || state === 'before') {
      context.err(`${request.source}: nothing to do: ${idle[state]}`)
      continue
    }
    const progress = (records: number): void =>
      context.progress(`${request.source}: ${showCount(records)} changes copied`)
    const switched = await parts.switchLog(request, progress, context.signal)
    context.progress('')
    context.out(args.has('json') ? JSON.stringify(switched) : describe(switched))
  }
  if (!args.has('json')) context.out(next(configuration, to))
  return exit.ok
}

function next({ settings }: Configuration, to: string): string {
  return settings.log.kind === to
    ? `log.kind is ${to}: millrace run goes on there`
    : `Now set log.kind: ${to} and start the daemon: it goes on where it was. With log.kind: ${settings.log.kind} it refuses to start.`
}

function describe(switched: LogSwitched): string {
  const { source, from, to, outcome, seq, copied, deadLetters, groups, leftBehind } = switched
  if (outcome === 'before') return `${source}: its log is in ${to} already`
  if (outcome === 'finished') return `${source}: finished what was interrupted; its log is in ${to} now`
  const orphans =
    leftBehind.length === 0 ? '' : `\n  left behind, for no pipeline reads them: ${leftBehind.join(', ')}`
  return `${source}: its log is in ${to} now, and goes on after number ${showCount(seq)}; that in ${from} was left
  copied: ${showCount(copied)} changes, ${showCount(deadLetters)} dead letters, ${showCount(groups.length)} groups${orphans}`
}

function tellPlans(plans: readonly LogSwitchPlan[], args: Arguments, context: Context): number {
  if (args.has('json')) {
    for (const plan of plans) context.out(JSON.stringify(plan))
    return exit.ok
  }
  const columns = [
    { title: 'SOURCE', text: ({ source }: LogSwitchPlan) => source },
    { title: 'FROM', text: ({ from }: LogSwitchPlan) => from },
    { title: 'TO', text: ({ to }: LogSwitchPlan) => to },
    { title: 'WOULD', text: ({ state }: LogSwitchPlan) => would[state] },
    { title: 'CHANGES', text: ({ changes }: LogSwitchPlan) => showCount(changes), right: true },
    { title: 'LETTERS', text: ({ deadLetters }: LogSwitchPlan) => showCount(deadLetters), right: true },
    { title: 'GROUPS', text: ({ groups }: LogSwitchPlan) => showCount(groups.length), right: true },
  ]
  for (const line of tableOf(columns, plans)) context.out(line)
  return exit.ok
}

const would: Readonly<Record<LogSwitchPlan['state'], string>> = {
  ready: 'be switched',
  unfinished: 'be finished',
  begun: 'do nothing',
  before: 'do nothing',
}

const idle = { begun: 'it has no log yet', before: 'its log is there already' }
