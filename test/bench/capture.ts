/**
 * How fast rows come out of the binlog, beside another author's reader and the server's own.
 *
 *   rows ─▶ MySQL ─┬▶ our decoder ─▶ nothing                  the rows as the log has them, dropped
 *                  ├▶ our decoder ─▶ capture ─▶ embedded log   durable
 *                  ├▶ @vlasky/zongji ─▶ JSON.stringify         objects with dateStrings, as text, dropped
 *                  └▶ mysqlbinlog --raw ─▶ file                copies bytes: nobody can be faster
 *
 * Each in a process of its own (capture-run.ts), one after the other, so that its time and memory are its own.
 */
import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engineFlags } from '../support/daemon-process.ts'
import { createReferenceTable, fillReferenceTable } from '../support/reference-table.ts'
import { run } from '../stack/command.ts'
import { mysqlbinlogCommand } from '../stack/mysql.ts'
import { printProgress } from '../stack/progress.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import type { Measurement, Reader } from './capture-run.ts'
import { numbersAsked } from './options.ts'
import { say, sayProgress } from './progress-line.ts'
import { median, rounded } from './statistics.ts'

const help = `npm run bench:capture -- [options]

Rows of the reference table that wait in MySQL's binlog, in transactions of 1000: our decoder with a null log, capture
into the embedded log, @vlasky/zongji with JSON.stringify, and mysqlbinlog --raw. Time and CPU time count from the call
that begins the reading, without the start of the program; firstChangeMs is from the start of the program to the first
change that is durable in the embedded log. Figures are medians. The last line is one JSON object; progress goes to
standard error.

  --rows N     rows in the binlog (default 2000000)
  --rounds N   how often each reads them (default 3)
  --help       this text`

interface Options {
  readonly rows: number
  readonly rounds: number
}

async function main(): Promise<void> {
  const options = numbersAsked(help, { rows: 2_000_000, rounds: 3 })
  if (options === undefined) return
  const onProgress = printProgress()
  const mysqlbinlog = await mysqlbinlogCommand(onProgress)
  await using stack = await startStack({ servers: ['mysql'], profile: 'bench', onProgress })
  await fill(stack, options)
  const rounds: Round[] = []
  for (let number = 1; number <= options.rounds; number++) {
    const round = await readByEach(stack, options, mysqlbinlog)
    say(`round ${number}: ${JSON.stringify(round)}`)
    rounds.push(round)
  }
  console.log(JSON.stringify(resultOf(rounds)))
}

/** The binlog begins after the table was made: it holds the rows and nothing else. */
async function fill(stack: Stack, { rows }: Options): Promise<void> {
  const connection = await stack.mysql.connect()
  try {
    await createReferenceTable(connection)
    await connection.query(`SET GLOBAL max_binlog_size = ${maxBinlogBytes}`)
    await connection.query('RESET BINARY LOGS AND GTIDS')
    const onProgress = sayProgress('rows in MySQL', rows)
    await fillReferenceTable(connection, { from: 1, rows, rowsPerTransaction: 1000, onProgress })
    await connection.query('FLUSH BINARY LOGS')
  } finally {
    await connection.end()
  }
}

/** The server's own maximum. */
const maxBinlogBytes = 1024 ** 3

interface Round {
  readonly decode: Measurement
  readonly embeddedLog: Measurement
  readonly zongji: Measurement
  readonly mysqlbinlogRawMbPerSecond: number
}

async function readByEach(stack: Stack, options: Options, mysqlbinlog: readonly string[]): Promise<Round> {
  const directory = join(stack.directory, 'read')
  await mkdir(directory)
  const read = async (reader: Reader, flags: readonly string[]): Promise<Measurement> => {
    say(`reading: ${reader}`)
    const program = fileURLToPath(new URL('capture-run.ts', import.meta.url))
    const words = [reader, stack.mysql.url, String(options.rows), directory]
    return JSON.parse(await run(process.execPath, [...flags, program, ...words])) as Measurement
  }
  try {
    return {
      // Ours with the flags of bin/millrace; the other's with the engine's own, with which it is faster.
      decode: await read('decode', engineFlags),
      embeddedLog: await read('embeddedLog', engineFlags),
      zongji: await read('zongji', []),
      mysqlbinlogRawMbPerSecond: await copyRaw(stack, mysqlbinlog, directory),
    }
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** The server sends its files, of which the first ones hold the rows. */
async function copyRaw(stack: Stack, mysqlbinlog: readonly string[], directory: string): Promise<number> {
  const [program = '', ...before] = mysqlbinlog
  const { host, port } = stack.mysql
  const from = ['--read-from-remote-server', `--host=${host}`, `--port=${port}`, '--user=root']
  const to = ['--raw', `--result-file=${directory}/`, 'binlog.000001']
  const startedAt = performance.now()
  await run(program, [...before, '--no-defaults', '--ssl-mode=DISABLED', ...from, ...to])
  const seconds = (performance.now() - startedAt) / 1000
  const { size } = await stat(join(directory, 'binlog.000001'))
  return rounded(size / 1_000_000 / seconds, 1)
}

/** Rows per second and memory of one reader. */
interface Figures {
  readonly rowsPerSecond: number
  readonly rowsPerCpuSecond: number
  readonly cpuSeconds: number
  readonly peakResidentMb: number
}

interface Result {
  readonly bench: 'capture'
  readonly decode: Figures
  readonly embeddedLog: Figures
  readonly zongji: Figures
  readonly mysqlbinlogRawMbPerSecond: number
  readonly firstChangeMs: number
}

function resultOf(rounds: readonly Round[]): Result {
  return {
    bench: 'capture',
    decode: figuresOf(rounds.map(({ decode }) => decode)),
    embeddedLog: figuresOf(rounds.map(({ embeddedLog }) => embeddedLog)),
    zongji: figuresOf(rounds.map(({ zongji }) => zongji)),
    mysqlbinlogRawMbPerSecond: median(
      rounds.map(({ mysqlbinlogRawMbPerSecond }) => mysqlbinlogRawMbPerSecond),
    ),
    firstChangeMs: rounded(median(rounds.map(({ embeddedLog }) => embeddedLog.firstChangeMs)), 0),
  }
}

function figuresOf(measurements: readonly Measurement[]): Figures {
  const middle = (figure: (measurement: Measurement) => number): number => median(measurements.map(figure))
  return {
    rowsPerSecond: rounded(
      middle(({ rows, seconds }) => rows / seconds),
      0,
    ),
    rowsPerCpuSecond: rounded(
      middle(({ rows, cpuSeconds }) => rows / cpuSeconds),
      0,
    ),
    cpuSeconds: rounded(
      middle(({ cpuSeconds }) => cpuSeconds),
      2,
    ),
    peakResidentMb: rounded(
      middle(({ peakResidentMb }) => peakResidentMb),
      1,
    ),
  }
}

await main()
