import { Failure } from '../../change/failure.ts'
import type { Letter, LetterChoice, LetterKind } from '../../control/operations.ts'
import { askLetterKinds, askLetters, askToSettleLetters, daemonAddress, runningDaemon } from '../client.ts'
import { composed, configured } from '../configured.ts'
import { exit, UsageError, type Context } from '../context.ts'
import { showCount } from '../format.ts'
import { tableOf, type ColumnOf } from '../table.ts'
import { configurationOptions, jsonOption, type Arguments, type Command } from '../usage.ts'

const actions = ['ls', 'show', 'redrive', 'drop'] as const

export const deadLetters: Command = {
  name: 'dead-letters',
  summary: 'List, show, redrive or drop the documents that a target refused.',
  positionals: 'ls|show|redrive|drop [PIPELINE[@TARGET]] [ID...]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    key: { value: 'KEY', repeatable: true, help: `The letters of this row: 42 or '["de",7]'.` },
    fingerprint: {
      value: 'KIND',
      help: 'The letters that share this fingerprint, or its short name as ls shows it.',
    },
    all: { help: 'All letters of the pipeline: redrive and drop want to be told.' },
    limit: { value: 'COUNT', help: 'show prints at most so many. Default: 20; at most 1000' },
    url: { value: 'URL', help: 'Ask the daemon at this address, without reading any configuration.' },
  },
  about: `A document that the target refuses for its own sake is put aside with the reason, and everything else goes on. Its letter
closes by itself when a later version of the document is written, and a later one that is refused takes its place.

  ls       how many there are of each kind; a kind is what alike failures share
  show     letters with their documents. Mind that it prints row values
  redrive  reads their rows again and delivers them as they are now: after a mapping or a row was corrected
  drop     forgets them; their documents stay as they are until their rows change

ls and show ask the daemon, or read the state folder when none answers. redrive and drop need the daemon.`,
  examples: [
    ['millrace dead-letters ls', 'what was put aside, of every pipeline'],
    ['millrace dead-letters show orders 42', 'one document, and why it was refused'],
    ['millrace dead-letters redrive orders --fingerprint 1f3a9c02', 'all that failed alike'],
    ['millrace dead-letters drop orders@backup --all', 'what was put aside at one target'],
  ],
  exits: [
    '0  done; ls, show: there is none',
    '1  ls, show: there is at least one; the daemon refused',
    '3  no daemon answers',
  ],
  async run(args, context) {
    const [word = '', pipeline, ...ids] = args.positionals
    const action = actions.find((each) => each === word)
    if (action === undefined)
      throw new UsageError(`millrace dead-letters knows ${actions.join(', ')}, not "${word}"`)
    const choice = choiceOf(args, pipeline, ids)
    if (action === 'ls') return await list(choice, args, context)
    if (action === 'show') return await show(choice, args, context)
    return await settle(action, choice, args, context)
  },
}

function choiceOf(args: Arguments, pipeline: string | undefined, ids: readonly string[]): LetterChoice {
  const keys = args.values('key')
  const fingerprint = args.value('fingerprint')
  return {
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(ids.length === 0 ? {} : { ids }),
    ...(keys.length === 0 ? {} : { keys }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  }
}

async function list(choice: LetterChoice, args: Arguments, context: Context): Promise<number> {
  const kinds = await found(args, context, {
    ask: (address) => askLetterKinds(address, choice, context.signal),
    look: async (parts) => await parts.letterKinds(choice),
  })
  if (args.has('json')) context.out(JSON.stringify(kinds))
  else if (kinds.length === 0) context.out('no dead letters')
  else for (const line of tableOf(kindColumns, kinds)) context.out(line)
  return kinds.length === 0 ? exit.ok : exit.bad
}

async function show(choice: LetterChoice, args: Arguments, context: Context): Promise<number> {
  const limit = args.value('limit') ?? '20'
  if (!/^[1-9]\d*$/.test(limit)) throw new UsageError(`--limit needs a number above 0, not "${limit}"`)
  const letters = await found(args, context, {
    ask: (address) => askLetters(address, choice, Number(limit), context.signal),
    look: async (parts) => await parts.letters(choice, Math.min(Number(limit), 1000)),
  })
  for (const letter of letters) {
    if (args.has('json')) context.out(JSON.stringify(letter))
    else for (const line of describe(letter)) context.out(line)
  }
  if (letters.length === 0) context.err('no dead letters are meant by this')
  return letters.length === 0 ? exit.ok : exit.bad
}

async function settle(
  action: 'redrive' | 'drop',
  choice: LetterChoice,
  args: Arguments,
  context: Context,
): Promise<number> {
  if (choice.pipeline === undefined) throw new UsageError(`millrace dead-letters ${action} needs PIPELINE`)
  const isNarrow = [choice.ids, choice.keys, choice.fingerprint].some((each) => each !== undefined)
  if (isNarrow === args.has('all'))
    throw new UsageError(
      `millrace dead-letters ${action} needs either some ID, --key or --fingerprint, or --all`,
    )
  const address = args.value('url') ?? runningDaemon(configured(args, context, true).settings.state)
  const answer = await askToSettleLetters(address, action, choice, context.signal)
  const done = action === 'redrive' ? 'redriven: their rows are read again' : 'dropped'
  context.out(
    args.has('json') ? JSON.stringify({ action, ...answer }) : `${showCount(answer.letters)} letters ${done}`,
  )
  return exit.ok
}

/** From the daemon, or from the state folder when none answers. */
async function found<T>(
  args: Arguments,
  context: Context,
  { ask, look }: { ask: (address: string) => Promise<T>; look: (parts: Composed) => Promise<T> },
): Promise<T> {
  const url = args.value('url')
  if (url !== undefined) return await ask(url)
  const configuration = configured(args, context, true)
  const address = daemonAddress(configuration.settings.state)
  try {
    if (address !== undefined) return await ask(address)
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'transient') throw error
    context.err(`${error.message}; this is what the state folder says:`)
  }
  return await look(await composed(configuration, context))
}

type Composed = Awaited<ReturnType<typeof composed>>

const kindColumns: readonly ColumnOf<LetterKind>[] = [
  { title: 'PIPELINE', text: ({ pipeline, target }) => `${pipeline}@${target}` },
  { title: 'LETTERS', text: ({ count }) => showCount(count), right: true },
  { title: 'KIND', text: ({ name }) => name },
  { title: 'FIRST', text: ({ firstAt }) => firstAt },
  { title: 'LAST', text: ({ lastAt }) => lastAt },
  { title: 'EXAMPLE', text: ({ exampleId }) => exampleId },
  { title: 'WHY', text: ({ fingerprint }) => fingerprint },
]

function describe(letter: Letter): readonly string[] {
  const { pipeline, target, id, table, key, op, version, attempts, firstAt, lastAt } = letter
  return [
    `${pipeline}@${target}  ${id}`,
    `  row       ${table} ${key}`,
    `  change    ${op}, version ${version}`,
    `  reason    ${letter.reason}`,
    `  kind      ${letter.fingerprint}`,
    `  attempts  ${attempts}, from ${firstAt} to ${lastAt}`,
    ...(letter.document === null ? [] : [`  document  ${letter.document}`]),
  ]
}
