import { after, before, test } from 'node:test'
import { passHugeTransaction } from '../soak/huge-transaction.ts'
import type { Stack } from '../stack/stack.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

let stack: Stack

before(async () => {
  stack = await startSuiteStack({ servers: ['mysql', 'elasticsearch'] })
})
after(() => stack?.[Symbol.asyncDispose]())

test('a transaction of 300 MB passes in bounded memory and arrives whole', async (context) => {
  const say = (text: string): void => context.diagnostic(text)
  await passHugeTransaction(stack, { megabytes: 300, isPacked: false, peakResidentMbMax: 250, say })
})

test('so does one that is one compressed event, whose content does not pack', async (context) => {
  const say = (text: string): void => context.diagnostic(text)
  await passHugeTransaction(stack, { megabytes: 60, isPacked: true, peakResidentMbMax: 250, say })
})
