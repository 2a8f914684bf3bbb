import type { PipelineStatus, ServerStatus, SourceStatus, Status } from '../../control/operations.ts'
import { askStatus, daemonAddress } from '../client.ts'
import { composed, configured } from '../configured.ts'
import { exit, type Context } from '../context.ts'
import { showBytes, showCount, showDuration } from '../format.ts'
import { tableOf, type ColumnOf } from '../table.ts'
import { configurationOptions, jsonOption, type Arguments, type Command } from '../usage.ts'

export const status: Command = {
  name: 'status',
  summary: 'Show positions, lag, counts and errors of every source and pipeline.',
  positionals: '',
  options: {
    ...configurationOptions,
    ...jsonOption,
    url: { value: 'URL', help: 'Ask the daemon at this address, without reading any configuration.' },
  },
  about: `Asks the running daemon. When none answers it reads the state folder itself and shows what was saved last: positions,
offsets, lag and dead letters are right then, the counts since the start are not known.`,
  examples: [
    ['millrace status', 'two tables: sources and pipelines'],
    ['millrace status --json | jq .pipelines[].lagSeconds', 'for programs'],
    ['millrace status --url http://10.0.0.5:8377', 'another machine'],
  ],
  exits: [
    '0  the daemon answered and nothing has failed',
    '1  the daemon answered, and a source or a pipeline has failed or waits',
    '3  no daemon answered',
  ],
  async run(args, context) {
    const found = await find(args, context)
    if (args.has('json')) context.out(JSON.stringify(found))
    else for (const line of show(found)) context.out(line)
    if (!found.daemon) return exit.unreachable
    const states = [...found.sources, ...found.pipelines].map(({ state }) => state)
    return states.some((state) => state === 'failed' || state === 'waiting') ? exit.bad : exit.ok
  },
}

async function find(args: Arguments, context: Context): Promise<Status> {
  const url = args.value('url')
  if (url !== undefined) return await askStatus(url, context.signal)
  const configuration = configured(args, context, true)
  const address = daemonAddress(configuration.settings.state)
  if (address !== undefined) {
    try {
      return await askStatus(address, context.signal)
    } catch (error) {
      context.err(`${(error as Error).message}; this is what the state folder says:`)
    }
  } else context.err('no daemon runs on this state folder; this is what it says:')
  const parts = await composed(configuration, context)
  return await parts.localStatus()
}

function show(found: Status): readonly string[] {
  const troubles = [...found.sources, ...found.pipelines].filter(({ error }) => error !== null)
  const servers = found.sources.flatMap((source) =>
    source.servers.length < 2 ? [] : source.servers.map((server) => ({ source: source.name, ...server })),
  )
  return [
    ...tableOf(sourceColumns, found.sources),
    '',
    ...(servers.length === 0 ? [] : [...tableOf(serverColumns, servers), '']),
    ...tableOf(pipelineColumns, found.pipelines),
    ...troubles.flatMap(({ error, remedy, ...named }) => [
      '',
      `${'target' in named ? labelOf(found, named) : named.name}: ${error ?? ''}`,
      ...(remedy === null ? [] : [`  remedy: ${remedy}`]),
    ]),
    ...found.pipelines.flatMap(showProposal),
    ...(found.recent.length === 0 ? [] : ['', 'LATELY']),
    ...found.recent.map(({ at, what }) => `${at}  ${what}`),
  ]
}

/** A pipeline with several targets is named with the one that is meant. */
function labelOf(
  { pipelines }: Status,
  { name, target }: { readonly name: string; readonly target: string },
): string {
  return pipelines.filter((each) => each.name === name).length > 1 ? `${name}@${target}` : name
}

function showProposal({ name, table, proposed }: PipelineStatus): readonly string[] {
  const fields = Object.entries(proposed).map(([field, mapping]) => `${field} ${mapping}`)
  if (fields.length === 0) return []
  return [
    '',
    `${name}: new columns of ${table} are left out: ${fields.join(', ')}`,
    `  to show them: millrace run --reload ${name} in every document, --keep ${name} in those to come`,
  ]
}

const sourceColumns: readonly ColumnOf<SourceStatus>[] = [
  { title: 'SOURCE', text: ({ name }) => name },
  {
    title: 'STATE',
    text: ({ state, leader }) =>
      state === 'standby' && leader !== null ? `standby, ${leader} leads` : state,
  },
  {
    title: 'SILENT',
    text: ({ silentSeconds }) => (silentSeconds === null ? '-' : showDuration(silentSeconds)),
    right: true,
  },
  {
    title: 'BEHIND',
    text: ({ behindBytes }) => (behindBytes === null ? '-' : showBytes(behindBytes)),
    right: true,
  },
  {
    title: 'PURGED IN',
    text: ({ retentionSeconds }) =>
      retentionSeconds === null ? '-' : showDuration(Math.max(0, retentionSeconds)),
    right: true,
  },
  {
    title: 'LOG',
    text: ({ logBytes, logBytesMax }) => `${showBytes(logBytes)} of ${showBytes(logBytesMax)}`,
    right: true,
  },
  {
    title: 'OFFSETS',
    text: ({ logOldestOffset, logNextOffset }) => `${logOldestOffset} to ${logNextOffset}`,
    right: true,
  },
  { title: 'EPOCH', text: ({ epoch }) => String(epoch), right: true },
  { title: 'SEQ', text: ({ seq }) => seq, right: true },
  { title: 'POSITION', text: ({ position }) => shorten(position) },
]

const serverColumns: readonly ColumnOf<ServerStatus & { readonly source: string }>[] = [
  { title: 'SOURCE', text: ({ source }) => source },
  { title: 'SERVER', text: ({ address }) => address },
  { title: 'ROLE', text: ({ role }) => role ?? '-' },
  { title: 'STATE', text: ({ state, detail }) => (detail === null ? state : `${state}: ${detail}`) },
]

const pipelineColumns: readonly ColumnOf<PipelineStatus>[] = [
  { title: 'PIPELINE', text: ({ name }) => name },
  { title: 'STATE', text: stateOf },
  { title: 'TABLE', text: ({ table }) => table },
  { title: 'INDEX', text: ({ index, target }) => `${index} at ${target}` },
  { title: 'LAG', text: ({ lagSeconds }) => showDuration(lagSeconds), right: true },
  { title: 'CHANGES', text: ({ lagChanges }) => showCount(lagChanges), right: true },
  { title: 'INDEXED', text: ({ indexed }) => showKnown(indexed), right: true },
  { title: 'DELETED', text: ({ deleted }) => showKnown(deleted), right: true },
  { title: 'LOOKED UP', text: ({ lookedUp }) => showKnown(lookedUp), right: true },
  { title: 'DEAD LETTERS', text: ({ deadLetters }) => showCount(deadLetters), right: true },
]

/** Counts since the daemon started, which only it knows. */
function showKnown(value: number | null): string {
  return value === null ? '-' : showCount(value)
}

function stateOf({ state, load }: PipelineStatus): string {
  if (load === null || load.state === 'done') return state
  if (load.state !== 'reading') return `${state}: ${load.state}`
  const share =
    load.rowsEstimate === 0 ? 0 : Math.min(99, Math.floor((100 * load.rowsDone) / load.rowsEstimate))
  const left = load.etaSeconds === null ? '' : `, ${showDuration(load.etaSeconds)} left`
  return `${state}: ${share} % of ${showCount(load.rowsEstimate)} rows${left}`
}

function shorten(position: string): string {
  return position.length > 100 ? `${position.slice(0, 97)}...` : position
}
