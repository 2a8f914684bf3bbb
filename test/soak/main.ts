/** The long forms of tests, by name. */
import { parseArgs } from 'node:util'
import { printProgress } from '../stack/progress.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { startFleetStack } from '../support/fleet.ts'
import { killBrokers } from './broker-kills.ts'
import { moveCapture } from './capture-moves.ts'
import { refuseSome } from './hostile-rows.ts'
import { heatParent } from './hot-parent.ts'
import { passHugeTransaction } from './huge-transaction.ts'
import { troubleDeliverers } from './kafka-deliverers.ts'
import { moveLeaders } from './leader-moves.ts'
import { redriveMany } from './many-letters.ts'
import { troubleReference } from './reference.ts'
import { changeOnline } from './schema-change.ts'
import { followSchemas } from './random-schemas.ts'
import { fillBehindSlowTarget } from './slow-target.ts'
import { takeTargetDown } from './target-down.ts'

const help = `npm run test:soak -- NAME [options]

  huge-transaction    one transaction passes in bounded memory (about 10 minutes, 30 GB of disk)
    --megabytes N     of content (default 5000)
  packed-transaction  the same as one compressed event that does not pack (about 2 minutes)
    --megabytes N     of content (default 300; the server's limit is 1000)
  slow-target         a backlog grows behind a slow target, and is delivered (about 5 minutes, 15 GB of disk)
    --megabytes N     of content (default 2000)
  target-down         the second of two targets is down for minutes (about 7 minutes)
    --seconds N       how long (default 300)
  hostile-rows        one row in a hundred is refused by the index, later corrected (about 2 minutes)
    --rows N          (default 200000)
  many-letters        every document of a table is refused; the letters are listed and redriven (about 2 minutes)
    --rows N          (default 100000)
  leader-moves        servers die in turns under load, some with their last changes (about 10 minutes)
    --moves N         how often (default 50)
    --mariadb         MariaDB instead of MySQL
  kafka-deliverers    processes that deliver are frozen, killed, started and stopped under load (20 minutes)
    --seconds N       how long (default 1200)
    --seed N          what happens when (default: drawn)
  capture-moves       capture moves between two processes, killed or frozen, over Kafka (about 10 minutes)
    --moves N         how often (default 50)
  broker-kills        the only broker is killed under load and started again; each change stays, once (about 10 minutes)
    --rounds N        how often (default 25)
  hot-parent          a row that very many documents show changes every second, and others stay fresh (5 minutes)
    --roots N         documents that show it (default 100000)
    --seconds N       how long it changes (default 180)
  reference           documents of several tables under load equal what the database builds, through kills and broken networks
                      (about 4 minutes; its six forms: --deliverers 1, 2 and 3, each with and without --replica)
    --deliverers N    1: one process (default); more: so many, with two that capture, over Kafka
    --replica         documents are read on a replica, five seconds behind
    --seconds N       how long (default 180)
    --seed N          what happens when (default: drawn)
  random-schemas      tables with random columns, changed and altered at random, by binlog and SELECT (about 10 minutes)
    --seeds N         how many tables on each kind of server (default 300)
    --seed N          the number of the first (default: drawn)
    --server NAME     only on this server of the stack
  schema-change       a tool changes a table's columns online, under load (about 2 minutes)
    --tool PATH       gh-ost or pt-online-schema-change, which you have installed
    --server NAME     the server's name in the stack (default mysql@8.0)

Exit code 0: held; 1: did not hold; 2: bad use.`

interface SoakOptions {
  readonly megabytes: number | undefined
  readonly rows: number | undefined
  readonly moves: number
  readonly rounds: number
  readonly mariadb: boolean
  readonly tool: string | undefined
  readonly server: string | undefined
  readonly roots: number
  readonly deliverers: number
  readonly replica: boolean
  readonly seconds: number | undefined
  readonly seed: number
  readonly seeds: number
}

type Soak = (options: SoakOptions) => Promise<void>

const soaks: Readonly<Record<string, Soak>> = {
  'huge-transaction': async ({ megabytes = 5000 }) => await hugeTransaction(megabytes, false),
  'packed-transaction': async ({ megabytes = 300 }) => await hugeTransaction(megabytes, true),
  'slow-target': slowTarget,
  'target-down': targetDown,
  'hostile-rows': hostileRows,
  'many-letters': manyLetters,
  'leader-moves': leaderMoves,
  'hot-parent': hotParent,
  reference,
  'random-schemas': randomSchemas,
  'schema-change': schemaChange,
  'kafka-deliverers': kafkaDeliverers,
  'capture-moves': captureMoves,
  'broker-kills': brokerKills,
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      megabytes: { type: 'string' },
      rows: { type: 'string' },
      moves: { type: 'string', default: '50' },
      rounds: { type: 'string', default: '25' },
      mariadb: { type: 'boolean', default: false },
      tool: { type: 'string' },
      server: { type: 'string' },
      seeds: { type: 'string', default: '300' },
      roots: { type: 'string', default: '100000' },
      deliverers: { type: 'string', default: '1' },
      replica: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const soak = soaks[positionals[0] ?? '']
  if (values.help || soak === undefined) {
    console.log(help)
    return values.help ? 0 : 2
  }
  const megabytes = numberOf(values.megabytes)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  const [rows, seconds] = [numberOf(values.rows), numberOf(values.seconds)]
  const [moves, rounds] = [Number(values.moves), Number(values.rounds)]
  const [roots, deliverers] = [Number(values.roots), Number(values.deliverers)]
  const numbers = {
    megabytes,
    rows,
    moves,
    rounds,
    roots,
    deliverers,
    seconds,
    seed,
    seeds: Number(values.seeds),
  }
  await soak({ ...values, tool: values.tool, server: values.server, ...numbers })
  return 0
}

/** undefined = not given: each has a number of its own then. */
function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

const say = (text: string): void => console.error(text)

const peakResidentMbMax = 250

async function hugeTransaction(megabytes: number, isPacked: boolean): Promise<void> {
  await using stack = await oneSourceAndTarget()
  const result = await passHugeTransaction(stack, { megabytes, isPacked, peakResidentMbMax, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function slowTarget({ megabytes = 2000 }: SoakOptions): Promise<void> {
  await using stack = await oneSourceAndTarget()
  const result = await fillBehindSlowTarget(stack, { megabytes, peakResidentMbMax, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function targetDown({ seconds = 300 }: SoakOptions): Promise<void> {
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch', 'opensearch'],
    onProgress: printProgress(),
  })
  console.log(`held: ${JSON.stringify(await takeTargetDown(stack, { seconds, say }))}`)
}

async function hostileRows({ rows = 200_000 }: SoakOptions): Promise<void> {
  await using stack = await oneSourceAndTarget()
  const result = await refuseSome(stack, { rows, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function manyLetters({ rows = 100_000 }: SoakOptions): Promise<void> {
  await using stack = await oneSourceAndTarget()
  const result = await redriveMany(stack, { rows, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function oneSourceAndTarget(): Promise<Stack> {
  return await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
}

async function leaderMoves({ moves, mariadb }: SoakOptions): Promise<void> {
  const servers = mariadb ? (['mariadb', 'mariadb@10.11'] as const) : (['mysql', 'mysql@9.7'] as const)
  await using stack = await startStack({
    servers: [...servers, 'elasticsearch'],
    onProgress: printProgress(),
  })
  const result = await moveLeaders(stack, { moves, servers, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function hotParent({ roots, seconds = 180 }: SoakOptions): Promise<void> {
  await using stack = await oneSourceAndTarget()
  const result = await heatParent(stack, { roots, seconds, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function reference({ deliverers, replica, seconds = 180, seed }: SoakOptions): Promise<void> {
  const replicas = replica ? ['mysql-replica'] : []
  await using stack =
    deliverers === 1
      ? await startStack({ servers: ['mysql', ...replicas, 'elasticsearch'], onProgress: printProgress() })
      : await startFleetStack(printProgress(), replicas)
  console.log(`seed ${seed}`)
  const trouble = { name: 'reference', seconds, seed, deliverers, replica, pauseMs: 6000, say }
  console.log(`held: ${JSON.stringify(await troubleReference(stack, trouble))}`)
}

async function schemaChange({ tool, server = 'mysql@8.0' }: SoakOptions): Promise<void> {
  if (tool === undefined) throw new Error('say which tool: --tool PATH')
  await using stack = await startStack({ servers: [server, 'elasticsearch'], onProgress: printProgress() })
  const result = await changeOnline(stack, { tool, server, rows: 5_000, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

async function randomSchemas({ seed, seeds, server }: SoakOptions): Promise<void> {
  const names =
    server === undefined ? ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] : [server]
  await using stack = await startStack({ servers: names, onProgress: printProgress() })
  console.log(`seed ${seed}`)
  for (const name of names) {
    const result = await followSchemas(stack.servers.get(name) as SqlServer, { seed, schemas: seeds, say })
    console.log(`held on ${name}: ${JSON.stringify(result)}`)
  }
}

async function kafkaDeliverers({ seconds = 1200, seed }: SoakOptions): Promise<void> {
  await using stack = await startFleetStack(printProgress())
  console.log(`seed ${seed}`)
  const trouble = { name: 'deliverers', seconds, seed, frozenMs: 30_000, say }
  console.log(`held: ${JSON.stringify(await troubleDeliverers(stack, trouble))}`)
}

async function captureMoves({ moves }: SoakOptions): Promise<void> {
  await using stack = await startFleetStack(printProgress())
  console.log(`held: ${JSON.stringify(await moveCapture(stack, { name: 'moves', moves, say }))}`)
}

async function brokerKills({ rounds }: SoakOptions): Promise<void> {
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch', 'kafka'],
    onProgress: printProgress(),
  })
  console.log(`held: ${JSON.stringify(await killBrokers(stack, { name: 'killed', rounds, say }))}`)
}

process.exitCode = await main()
