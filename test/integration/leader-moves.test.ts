import assert from 'node:assert/strict'
import { test } from 'node:test'
import { moveLeaders } from '../soak/leader-moves.ts'
import { startSuiteStack } from '../support/suite-stack.ts'

test('MySQL: the index equals the table after five moves of the leader, two of which lose changes', async (context) => {
  await using stack = await startSuiteStack({ servers: ['mysql', 'mysql@9.7', 'elasticsearch'] })
  const say = (text: string): void => context.diagnostic(text)
  const result = await moveLeaders(stack, { moves: 5, servers: ['mysql', 'mysql@9.7'], say })
  assert.deepEqual([result.undone, result.byRows], [2, 2])
})

test('MariaDB: the index equals the table after two moves of the leader, one of which loses changes', async (context) => {
  await using stack = await startSuiteStack({ servers: ['mariadb', 'mariadb@10.11', 'elasticsearch'] })
  const say = (text: string): void => context.diagnostic(text)
  const result = await moveLeaders(stack, { moves: 2, servers: ['mariadb', 'mariadb@10.11'], say })
  assert.deepEqual([result.undone, result.byRows], [1, 1])
})
