/** The contract of every Source, over real servers. */
import { after, before } from 'node:test'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import { testSource, type ItemWrite } from '../contract/source.contract.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { freshSchema, settingsOf, write } from '../support/source-reading.ts'

const names = ['mysql', 'mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'] as const

let stack: Stack

before(async () => {
  stack = await startStack({ servers: names })
})
after(() => stack?.[Symbol.asyncDispose]())

for (const name of names) {
  testSource(name, async () => {
    const server = stack.servers.get(name) as SqlServer
    const schema = await freshSchema(
      server,
      'CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(250) NOT NULL, amount INT)',
    )
    const table = `${schema}.items`
    const source = createMysqlSource(settingsOf(server), [table])
    return {
      source,
      table,
      hugeRows: 6000,
      write: (writes) => write(server, schema, ['BEGIN', ...writes.map(statementOf), 'COMMIT']),
      truncate: () => write(server, schema, ['TRUNCATE TABLE items']),
      close: () => source.close(),
    }
  })
}

function statementOf(item: ItemWrite): string {
  const { op, id } = item
  if (op === 'delete') return `DELETE FROM items WHERE id = ${id}`
  if (op === 'rekey') return `UPDATE items SET id = ${item.to} WHERE id = ${id}`
  const [name, amount] = [quoted(item.name), item.amount ?? 'NULL']
  if (op === 'insert') return `INSERT INTO items VALUES (${id}, ${name}, ${amount})`
  return `UPDATE items SET name = ${name}, amount = ${amount} WHERE id = ${id}`
}

/** As hexadecimal digits: no character needs an escape. */
function quoted(text: string): string {
  return `CONVERT(X'${Buffer.from(text, 'utf8').toString('hex')}' USING utf8mb4)`
}
