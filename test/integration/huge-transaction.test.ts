import { test } from 'node:test'
import { startStack } from '../stack/stack.ts'
import { passHugeTransaction } from '../soak/huge-transaction.ts'

test('a transaction of 100,000 rows passes in bounded memory and arrives whole', async (context) => {
  await using stack = await startStack({ servers: ['mysql', 'elasticsearch'] })
  const say = (text: string): void => context.diagnostic(text)
  await passHugeTransaction(stack, { rows: 100_000, peakResidentMbMax: 250, say })
})
