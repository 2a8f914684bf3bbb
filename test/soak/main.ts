/** The long forms of tests, by name. */
import { parseArgs } from 'node:util'
import { printProgress } from '../stack/progress.ts'
import { startStack } from '../stack/stack.ts'
import { passHugeTransaction } from './huge-transaction.ts'

const help = `npm run test:soak -- NAME [options]

  huge-transaction    one transaction passes in bounded memory (about 3 minutes)
    --rows N          its rows (default 1000000)

Exit code 0: held; 1: did not hold.`

interface Soak {
  readonly run: (rows: number) => Promise<void>
}

const soaks: Readonly<Record<string, Soak>> = {
  'huge-transaction': { run: hugeTransaction },
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rows: { type: 'string', default: '1000000' }, help: { type: 'boolean', default: false } },
  })
  const soak = soaks[positionals[0] ?? '']
  if (values.help || soak === undefined) {
    console.log(help)
    return values.help ? 0 : 2
  }
  await soak.run(Number(values.rows))
  return 0
}

const say = (text: string): void => console.error(text)

async function hugeTransaction(rows: number): Promise<void> {
  await using stack = await startStack({
    servers: ['mysql', 'elasticsearch'],
    profile: 'bench',
    onProgress: printProgress(),
  })
  const result = await passHugeTransaction(stack, { rows, peakResidentMbMax: 250, say })
  console.log(`held: ${JSON.stringify(result)}`)
}

process.exitCode = await main()
