/** The long forms of tests, by name. */
import { parseArgs } from 'node:util'
import { printProgress } from '../stack/progress.ts'
import { startStack } from '../stack/stack.ts'
import { passHugeTransaction } from './huge-transaction.ts'
import { moveLeaders } from './leader-moves.ts'

const help = `npm run test:soak -- NAME [options]

  huge-transaction    one transaction passes in bounded memory (about 3 minutes)
    --rows N          its rows (default 1000000)
  leader-moves        servers die in turns under load, some with their last changes (about 10 minutes)
    --moves N         how often (default 50)
    --mariadb         MariaDB instead of MySQL

Exit code 0: held; 1: did not hold.`

interface SoakOptions {
  readonly rows: number
  readonly moves: number
  readonly mariadb: boolean
}

interface Soak {
  readonly run: (options: SoakOptions) => Promise<void>
}

const soaks: Readonly<Record<string, Soak>> = {
  'huge-transaction': { run: hugeTransaction },
  'leader-moves': { run: leaderMoves },
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rows: { type: 'string', default: '1000000' },
      moves: { type: 'string', default: '50' },
      mariadb: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const soak = soaks[positionals[0] ?? '']
  if (values.help || soak === undefined) {
    console.log(help)
    return values.help ? 0 : 2
  }
  await soak.run({ ...values, rows: Number(values.rows), moves: Number(values.moves) })
  return 0
}

const say = (text: string): void => console.error(text)

async function hugeTransaction({ rows }: SoakOptions): Promise<void> {
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const result = await passHugeTransaction(stack, { rows, peakResidentMbMax: 250, say })
  console.log(`held: ${JSON.stringify(result)}`)
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

process.exitCode = await main()
