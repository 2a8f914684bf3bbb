import { setTimeout as delay } from 'node:timers/promises'
import { Failure } from '../../change/failure.ts'
import type { PipelineStatus, TouchAnswer } from '../../control/operations.ts'
import { askStatus, askTouch, runningDaemon } from '../client.ts'
import { configured } from '../configured.ts'
import { exit, UsageError, type Context } from '../context.ts'
import { showCount } from '../format.ts'
import { fileContent, linesIn } from '../lines.ts'
import { configurationOptions, jsonOption, type Arguments, type Command } from '../usage.ts'

export const touch: Command = {
  name: 'touch',
  summary: 'Have rows read again and their documents written anew, by key.',
  positionals: 'PIPELINE [KEY...]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    file: { value: 'FILE', help: 'Take keys from a file, one a line.' },
    wait: { help: 'End only when the documents are written.' },
    url: { value: 'URL', help: 'Ask the daemon at this address, without reading any configuration.' },
  },
  about: `Each key goes into the log like a change of its row, in the order of the row's other changes. When its turn comes the
row is read: if the table has it, its document is written anew; if not, the document is deleted. Nothing is lost when the
daemon stops in between, and a key may be touched as often as one likes.

A key is the JSON array of its values in the order of the table's key: '["de",7]'. Where the key is one column, that value
alone will do: 42. With - keys are read from the standard input, one a line; empty lines are passed over.

PIPELINE is a pipeline's name, or NAME@TARGET for one of its targets. Rows are read no faster than
delivery.lookUpsPerSecond allows.`,
  examples: [
    ['millrace touch orders 42 43 --wait', 'two rows; ends when their documents are written'],
    [`millrace touch cities '["de",7]'`, 'a key of two columns'],
    ['mysql -Ne "SELECT id FROM shop.orders WHERE ..." | millrace touch orders -', 'whatever a query finds'],
  ],
  exits: [
    '0  the keys are in the log; with --wait: their documents are written',
    '1  a line is no key of the table, or (with --wait) the pipeline failed or put documents aside',
    '3  no daemon answers, or it cannot reach the source',
  ],
  async run(args, context) {
    const [pipeline = '', ...words] = args.positionals
    const address = args.value('url') ?? runningDaemon(configured(args, context, true).settings.state)
    const before = args.has('wait') ? await groupsOf(address, pipeline, context.signal) : []
    const told = { touched: 0, until: 0 }
    for await (const batch of inBatches(linesOf(args, words, context))) {
      const request = { pipeline, keys: batch.map(({ text }) => text) }
      const answer = await askTouch(address, request, context.signal)
      if (answer.malformed.length > 0) return refuse(answer, batch, told.touched, context)
      told.touched += answer.touched
      told.until = answer.until
      context.progress(`${showCount(told.touched)} keys touched`)
    }
    const refused = args.has('wait') ? await delivered({ address, pipeline, ...told }, before, context) : 0
    if (args.has('json')) context.out(JSON.stringify({ pipeline, ...told, refused }))
    else context.out(`${showCount(told.touched)} keys touched${args.has('wait') ? ' and written' : ''}`)
    if (refused === 0) return exit.ok
    context.err(`${showCount(refused)} documents were refused meanwhile and are dead letters now`)
    return exit.bad
  },
}

interface Line {
  /** For people: `line 7`, `key 2`. */
  readonly place: string
  readonly text: string
}

async function* linesOf(args: Arguments, words: readonly string[], context: Context): AsyncGenerator<Line> {
  const file = args.value('file')
  if ((file === undefined) === (words.length === 0))
    throw new UsageError('millrace touch needs keys: some KEY, --file FILE, or - for the standard input')
  if (file === undefined && words.join() !== '-') {
    for (const [at, text] of words.entries()) yield { place: `key ${at + 1}`, text }
    return
  }
  const input = file === undefined ? context.input() : fileContent(context.workingDirectory, file)
  let number = 0
  for await (const text of linesIn(input)) {
    number++
    if (text.trim() !== '') yield { place: `line ${number}`, text }
  }
}

/** What one request holds. */
const batchKeysMax = 1000
const batchCharactersMax = 250_000

async function* inBatches(lines: AsyncIterable<Line>): AsyncGenerator<readonly Line[]> {
  let batch: Line[] = []
  let characters = 0
  for await (const line of lines) {
    batch.push(line)
    characters += line.text.length
    if (batch.length < batchKeysMax && characters < batchCharactersMax) continue
    yield batch
    batch = []
    characters = 0
  }
  if (batch.length > 0) yield batch
}

function refuse(
  { malformed }: TouchAnswer,
  batch: readonly Line[],
  touched: number,
  { err }: Context,
): number {
  for (const { at, why } of malformed) err(`${batch[at]?.place ?? ''}: ${why}`)
  err(touched === 0 ? 'nothing was touched' : `${showCount(touched)} keys before these were touched`)
  err('  remedy: write a key as a JSON array of its values in the order of the key: [42] or ["de",7]')
  return exit.bad
}

async function groupsOf(
  address: string,
  pipeline: string,
  signal: AbortSignal,
): Promise<readonly PipelineStatus[]> {
  const { pipelines } = await askStatus(address, signal)
  return pipelines.filter(
    ({ name, target, state }) =>
      state !== 'orphan' && (name === pipeline || `${name}@${target}` === pipeline),
  )
}

/** Waits until every group has passed the offset; how many more dead letters there are then. */
async function delivered(
  {
    address,
    pipeline,
    until,
  }: { readonly address: string; readonly pipeline: string; readonly until: number },
  before: readonly PipelineStatus[],
  { signal, progress }: Context,
): Promise<number> {
  for (;;) {
    const groups = await groupsOf(address, pipeline, signal)
    const failed = groups.find(({ state }) => state === 'failed' || state === 'stopped')
    if (failed !== undefined)
      throw new Failure('lost', `${pipeline} has ${failed.state}: ${failed.error ?? ''}`, {
        remedy: failed.remedy ?? 'the touches are in the log: they are delivered when it runs again',
      })
    const behind = groups.filter(({ lanes }) => lanes.some((next) => next < until))
    if (groups.length > 0 && behind.length === 0) return lettersOf(groups) - lettersOf(before)
    progress(
      `waiting for ${behind.map(({ target, lagChanges }) => `${target}: ${showCount(lagChanges)}`).join(', ')}`,
    )
    await delay(pollMs, undefined, { signal })
  }
}

const pollMs = 200

function lettersOf(groups: readonly PipelineStatus[]): number {
  return groups.reduce((sum, { deadLetters }) => sum + deadLetters, 0)
}
