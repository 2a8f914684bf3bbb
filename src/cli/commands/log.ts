import type { Row, Table } from '../../change/change.ts'
import { textOf, unpackRow } from '../../change/row.ts'
import { Failure } from '../../change/failure.ts'
import type { Configuration } from '../../config/load.ts'
import type { LogAdmin } from '../../log/log.ts'
import { composed, configured } from '../configured.ts'
import { exit, UsageError, type Context } from '../context.ts'
import { showBytes, showDuration } from '../format.ts'
import { keysOf } from '../key.ts'
import { groupLines, groupsIn } from '../log-groups.ts'
import { switchLogs } from '../log-switch.ts'
import type { Parts } from '../parts.ts'
import { tableOf } from '../table.ts'
import { configurationOptions, jsonOption, type Arguments, type Command } from '../usage.ts'

export const log: Command = {
  name: 'log',
  summary:
    'Look into the change log: its parts, those who read it, the changes of one row; or keep it elsewhere.',
  positionals: 'ls|groups|show|switch [TABLE|KIND] [KEY...]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    source: { value: 'SOURCE', help: 'The log of this source only. Default: all' },
    'dry-run': { help: 'With switch: say what would be done, and whether it could be.' },
    history: {
      help: 'With switch: copy everything that is kept, not only what was not delivered. Takes longer; replays and show know it then.',
    },
  },
  about: `millrace log ls               the parts of each log: names, sizes, offsets, ages
millrace log groups           who reads it: the next offset of each lane, the lag, and how long until the log would drop what
                              is not delivered, if it grows as it did
millrace log show TABLE KEY   every change of a row that is still kept, oldest first
millrace log switch KIND      go on with the log kept elsewhere: in kafka, or embedded in files, as the settings under log say

The key is written as its values in the order of the key's columns, or as a JSON array. All read the log itself, also while
the daemon runs. Mind that show prints row values.

Switching: stop every daemon, millrace log switch kafka, set log.kind: kafka, start. What was not delivered, dead letters, the
progress of capture, loads and pipelines go along; nothing is loaded anew, and no index notices. The log that was left refuses
to be used. Interrupted, the same command goes on. What was delivered by some lanes of a pipeline, and not by all, is delivered
again: let it catch up first (millrace status) where that matters.`,
  examples: [
    ['millrace log ls', 'how much is kept, and since when'],
    ['millrace log show shop.orders 42', 'what happened to the order 42'],
    ['millrace log groups --json', 'lag and room of each group, for programs'],
    ['millrace log switch kafka --dry-run', 'what a switch would copy'],
    [`millrace log show shop.stock '["de","Köln",7]' --json`, 'a key of three columns, for programs'],
  ],
  exits: [
    '0  shown, or switched',
    '1  there is no log yet, the row has no changes in it, or the log cannot be switched as it is',
  ],
  async run(args, context) {
    const action = actionOf(args)
    const configuration = configured(args, context, action !== 'switch')
    const parts = await composed(configuration, context)
    const sources = sourcesOf(configuration, args)
    const [, table = '', ...key] = args.positionals
    if (action === 'switch') return await switchLogs({ parts, configuration }, sources, args, context)
    if (action === 'ls') return await list(parts, sources, args, context)
    if (action === 'groups') return await listGroups(parts, sources, args, context)
    return await show({ parts, sources, table, keys: keysOf(key) }, args, context)
  },
}

const actions = ['ls', 'groups', 'show', 'switch'] as const

function actionOf({ positionals: [word, table, key] }: Arguments): (typeof actions)[number] {
  const action = actions.find((each) => each === word)
  if (action === undefined)
    throw new UsageError(`millrace log knows ls, groups, show and switch, not "${word ?? ''}"`)
  if ((action === 'ls' || action === 'groups') && table !== undefined)
    throw new UsageError(`millrace log ${action} takes no table`)
  if (action === 'show' && key === undefined) throw new UsageError('millrace log show needs TABLE and KEY')
  return action
}

function sourcesOf({ settings }: Configuration, args: Arguments): readonly string[] {
  const names = Object.keys(settings.sources)
  const wanted = args.value('source')
  if (wanted === undefined) return names
  if (names.includes(wanted)) return [wanted]
  throw new Failure('configuration', `there is no source "${wanted}"`, {
    remedy: `there are: ${names.join(', ')}`,
  })
}

async function list(
  parts: Parts,
  sources: readonly string[],
  args: Arguments,
  context: Context,
): Promise<number> {
  const rows = await eachLog({ parts, sources, context }, async (source, opened) =>
    (await opened.parts()).map((part) => ({ source, ...part })),
  )
  if (args.has('json')) {
    for (const row of rows) context.out(JSON.stringify(row))
    return exit.ok
  }
  type Listed = (typeof rows)[number]
  const columns = [
    { title: 'SOURCE', text: (row: Listed) => row.source },
    { title: 'PART', text: (row: Listed) => row.name },
    { title: 'SIZE', text: (row: Listed) => showBytes(row.bytes), right: true },
    { title: 'FIRST', text: (row: Listed) => String(row.first), right: true },
    { title: 'NEXT', text: (row: Listed) => String(row.next), right: true },
    {
      title: 'AGE',
      text: ({ firstAppendedAtMs: since }: Listed) =>
        since === 0 ? '-' : showDuration(Math.max(0, Date.now() - since) / 1000),
      right: true,
    },
  ]
  for (const line of tableOf(columns, rows)) context.out(line)
  return exit.ok
}

async function listGroups(
  parts: Parts,
  sources: readonly string[],
  args: Arguments,
  context: Context,
): Promise<number> {
  const groups = await eachLog({ parts, sources, context }, (source, opened) =>
    groupsIn(source, opened, Date.now()),
  )
  const lines = args.has('json') ? groups.map((group) => JSON.stringify(group)) : groupLines(groups)
  for (const line of lines) context.out(line)
  return exit.ok
}

interface Search {
  readonly parts: Parts
  readonly sources: readonly string[]
  readonly table: string
  readonly keys: ReturnType<typeof keysOf>
}

async function show(search: Search, args: Arguments, context: Context): Promise<number> {
  const { parts, sources, table, keys } = search
  const found = await eachLog({ parts, sources, context }, async (source, opened) => {
    let count = 0
    for (const key of keys) {
      for await (const entry of opened.find(table, key)) {
        count++
        const shown = shownOf(source, entry)
        context.out(args.has('json') ? jsonOf(shown) : describe(shown))
      }
      if (count > 0) break
    }
    return [count]
  })
  if (found.some((count) => count > 0)) return exit.ok
  context.err(`the log has no change of ${table} with this key`)
  return exit.bad
}

interface Logs {
  readonly parts: Parts
  readonly sources: readonly string[]
  readonly context: Context
}

/** A log that is not the current one is looked into as any other; that it is not is said. */
async function eachLog<Answer>(
  { parts, sources, context }: Logs,
  ask: (source: string, opened: LogAdmin) => Promise<readonly Answer[]>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = []
  for (const source of sources) {
    const opened = await parts.openLog(source)
    try {
      const moved = (await opened.control())?.moved
      if (moved !== undefined)
        context.err(`${source}: not the current log: ${movedText[moved.state]} ${moved.to}`)
      answers.push(...(await ask(source, opened)))
    } finally {
      await opened.close()
    }
  }
  return answers
}

const movedText = { left: 'it was left for the one in', filling: 'an unfinished switch fills the one in' }

type FoundEntry = LogAdmin['find'] extends (...args: never[]) => AsyncIterable<infer Entry> ? Entry : never
/** JSON text by column: numbers keep all their digits. */
type Values = Readonly<Record<string, string>>

interface Shown {
  readonly source: string
  readonly offset: number
  readonly version: string
  readonly op: string
  readonly committedAt: string | null
  readonly addressee: string | null
  readonly before: Values | undefined
  readonly after: Values | undefined
}

function shownOf(source: string, { offset, version, change, addressee }: FoundEntry): Shown {
  return {
    source,
    offset,
    version: String(version),
    op: change.op,
    committedAt: change.committedAtMs === 0 ? null : new Date(change.committedAtMs).toISOString(),
    addressee: addressee ?? null,
    before: change.before === undefined ? undefined : valuesOf(change.table, change.before),
    after: change.after === undefined ? undefined : valuesOf(change.table, change.after),
  }
}

/** Columns that are absent from the row image are left out. */
function valuesOf(table: Table, row: Row): Values {
  const cells = unpackRow(row, table.columns.length)
  return Object.fromEntries(
    table.columns.flatMap(({ name }, index) => {
      const cell = cells[index]
      return cell === undefined ? [] : [[name, cell === null ? 'null' : textOf(cell)]]
    }),
  )
}

function jsonOf({ before, after, ...rest }: Shown): string {
  const head = JSON.stringify(rest).slice(0, -1)
  return `${head},"before":${objectOf(before)},"after":${objectOf(after)}}`
}

function objectOf(values: Values | undefined): string {
  if (values === undefined) return 'null'
  const members = Object.entries(values).map(([name, text]) => `${JSON.stringify(name)}:${text}`)
  return `{${members.join(',')}}`
}

function describe({ before, after, ...shown }: Shown): string {
  const to = shown.addressee === null ? '' : `  for ${shown.addressee} alone`
  const head = `offset ${shown.offset}  ${shown.op}  ${shown.committedAt ?? 'read'}  version ${shown.version}${to}`
  const lines = Object.entries({ ...before, ...after }).flatMap(([name, value]) => {
    if (before === undefined || after === undefined) return [`  ${name}: ${value}`]
    return before[name] === after[name]
      ? []
      : [`  ${name}: ${before[name] ?? 'absent'} → ${after[name] ?? 'absent'}`]
  })
  return [head, ...lines].join('\n')
}
