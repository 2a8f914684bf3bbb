/** Servers whose binlog does not name columns: rows are decoded exactly, or capture stops and says why. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { createMysqlSource } from '../../src/source/mysql/mysql-source.ts'
import type { Change, Position, Row } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { unpackRow, textOf } from '../../src/change/row.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { killDumps } from '../support/dumps.ts'
import {
  describeChange,
  failureOfReading,
  freshSchema,
  settingsOf,
  startReading,
  write,
  changesOf,
} from '../support/source-reading.ts'
import type { SourceBatch } from '../../src/source/source.ts'

const names = ['mysql@5.7', 'mysql@8.0', 'mysql', 'mariadb@10.11', 'mariadb@11.8'] as const
const table = 'CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c VARCHAR(10))'

suite('columns that the binlog does not name', { concurrency: false }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack({ servers: names })
    for (const name of names)
      if (name !== 'mysql@5.7')
        await (stack.servers.get(name) as SqlServer).execute('SET GLOBAL binlog_row_metadata = MINIMAL')
  })
  after(() => stack?.[Symbol.asyncDispose]())

  for (const name of names) {
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
    testFollowing(name, serverOf)
    testLag(name, serverOf)
    testContradictions(name, serverOf)
  }
})

function testFollowing(name: string, serverOf: () => SqlServer): void {
  test(`${name}: statements that change a table are followed while capture keeps up`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table)
    const reading = await startReading(server, [`${schema}.t`])
    const steps = [
      "INSERT INTO t VALUES (1, 10, 100, 'x')",
      'ALTER TABLE t ADD COLUMN n BIGINT UNSIGNED AFTER id',
      "INSERT INTO t VALUES (2, 18446744073709551615, 20, 200, 'y')",
      'ALTER TABLE t MODIFY a INT UNSIGNED',
      "INSERT INTO t VALUES (3, 3, 4294967295, 300, 'z')",
      'ALTER TABLE t DROP COLUMN b',
      "INSERT INTO t VALUES (4, 4, 40, 'w')",
      'CREATE TABLE other (id INT PRIMARY KEY, note TEXT)',
      'RENAME TABLE t TO gone, other TO t',
      "INSERT INTO t VALUES (5, 'new')",
    ]
    for (const statement of steps) {
      await write(server, schema, [statement])
      await reading.untilHead()
    }
    const seen = reading.changes.map((change) => `${namesOf(change)}: ${describeChange(change)}`)
    assert.deepEqual(seen, [
      'id,a,b,c: insert [1] - 1,10,100,"x"',
      'id,n,a,b,c: insert [2] - 2,18446744073709551615,20,200,"y"',
      'id,n,a,b,c: insert [3] - 3,3,4294967295,300,"z"',
      'id,n,a,c: insert [4] - 4,4,40,"w"',
      'id,note: insert [5] - 5,"new"',
    ])
    await reading.end()
  })

  test(`${name}: rows that are followed at once by what changes their table are decoded, where capture was idle before`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table, 'CREATE TABLE other (id INT PRIMARY KEY)')
    const reading = await startReading(server, [`${schema}.t`])
    const steps = [
      ["INSERT INTO t VALUES (1, 10, 100, 'x')", 'ALTER TABLE t ADD COLUMN n INT AFTER id'],
      ["INSERT INTO t VALUES (2, 7, 20, 200, 'y')", 'ALTER TABLE t DROP COLUMN a'],
    ]
    for (const [at, statements] of steps.entries()) {
      // A position that moves without changes goes out when the columns for the next ones are known.
      await write(server, schema, [`INSERT INTO other VALUES (${at})`])
      await reading.untilHead()
      await write(server, schema, statements)
      await reading.untilHead()
    }
    await reading.end()
    assert.deepEqual(
      reading.changes.map((change) => `${namesOf(change)}: ${describeChange(change)}`),
      ['id,a,b,c: insert [1] - 1,10,100,"x"', 'id,n,a,b,c: insert [2] - 2,7,20,200,"y"'],
    )
  })

  test(`${name}: a table that is changed under load is decoded exactly, or capture stops`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, 'CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)')
    const reading = await startReading(server, [`${schema}.t`])
    let id = 0
    const insert = (columns: string, values: string): string =>
      `INSERT INTO t (id, ${columns}) VALUES (${++id}, ${values})`
    const statements: string[] = []
    for (let round = 0; round < 8; round++) {
      for (let row = 0; row < 20; row++) statements.push(insert('a, b', '1, 2'))
      // The two columns change places: types alone would not tell.
      statements.push(
        round % 2 === 0 ? 'ALTER TABLE t MODIFY b INT FIRST' : 'ALTER TABLE t MODIFY b INT AFTER a',
      )
    }
    await write(server, schema, statements)
    const failure = await reading.untilHead().then(
      () => undefined,
      (error: unknown) => error,
    )
    for (const {
      table: { columns },
      after: row,
    } of reading.changes)
      assert.match(
        `${columns.map(({ name: column }) => column).join()}=${cellsOf(row, columns.length)}`,
        /^(b,id,a=2,\d+,1|id,a,b=\d+,1,2)$/,
      )
    if (failure === undefined) assert.equal(reading.changes.length, id)
    else assertLost(failure)
    await reading.end().catch(assertLost)
  })
}

function testLag(name: string, serverOf: () => SqlServer): void {
  const alterations = {
    'a new column in the middle': 'ALTER TABLE t ADD COLUMN n INT AFTER id',
    'another type': 'ALTER TABLE t MODIFY a BIGINT',
    'another sign': 'ALTER TABLE t MODIFY a INT UNSIGNED',
    'a dropped column': 'ALTER TABLE t DROP COLUMN a',
    'another order of like columns': 'ALTER TABLE t MODIFY b INT FIRST',
    'another name': 'ALTER TABLE t CHANGE a aa INT',
    'a table that is gone': 'DROP TABLE t',
  }
  for (const [what, statement] of Object.entries(alterations))
    test(`${name}: rows before ${what}, read after it, stop capture and are not decoded`, async () => {
      const server = serverOf()
      const schema = await freshSchema(server, table)
      const from = await headOf(server)
      await write(server, schema, ["INSERT INTO t VALUES (1, 10, 100, 'x')", statement])
      if (!statement.startsWith('DROP TABLE'))
        await write(server, schema, ['INSERT INTO t (id) VALUES (2)', 'UPDATE t SET c = 5'])
      const batches: SourceBatch[] = []
      const failure = await failureOfReading(server, `${schema}.t`, { from, batches })
      assertLost(failure)
      const verb = statement.split(' ', 2).join(' ')
      assert.match(failure.message, new RegExp(`${verb}|no such table`))
      assert.deepEqual(
        batches.flatMap((batch) => changesOf(batch)),
        [],
      )
    })

  test(`${name}: capture that starts late goes on where no rows stand before the change`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table, "INSERT INTO t VALUES (1, 10, 100, 'x')")
    const from = await headOf(server)
    await write(server, schema, [
      'ALTER TABLE t ADD COLUMN n INT AFTER id',
      'ALTER TABLE t MODIFY a BIGINT',
      "INSERT INTO t VALUES (2, 3, 20, 200, 'y')",
      'CREATE INDEX late ON t (a)',
      'ALTER TABLE t ADD INDEX (b)',
      'INSERT INTO t (id) VALUES (3)',
      'TRUNCATE TABLE t',
      "INSERT INTO t VALUES (1, NULL, 10, 100, 'x')",
      'UPDATE t SET n = 4 WHERE id = 1',
    ])
    const reading = await startReading(server, [`${schema}.t`], { from })
    await reading.untilHead()
    assert.deepEqual(reading.changes.map(describeChange), [
      'insert [2] - 2,3,20,200,"y"',
      'insert [3] - 3,NULL,NULL,NULL,NULL',
      'insert [1] - 1,NULL,10,100,"x"',
      'update [1] 1,NULL,10,100,"x" 1,4,10,100,"x"',
    ])
    await reading.end()
  })

  test(`${name}: a change of one table does not stop the rows of another`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table, 'CREATE TABLE u (id INT PRIMARY KEY, v INT)')
    const from = await headOf(server)
    await write(server, schema, [
      "INSERT INTO t VALUES (1, 10, 100, 'x')",
      'ALTER TABLE u ADD COLUMN w INT FIRST',
      "INSERT INTO t VALUES (2, 20, 200, 'y')",
      'INSERT INTO u VALUES (7, 8, 9)',
    ])
    const reading = await startReading(
      server,
      ['t', 'u'].map((short) => `${schema}.${short}`),
      { from },
    )
    await reading.untilHead()
    assert.deepEqual(reading.changes.map(describeChange), [
      'insert [1] - 1,10,100,"x"',
      'insert [2] - 2,20,200,"y"',
      'insert [8] - 7,8,9',
    ])
    await reading.end()
  })

  test(`${name}: what was known before a broken connection still holds after it`, async () => {
    const server = serverOf()
    const schema = await freshSchema(server, table, 'INSERT INTO t (id) VALUES (1)')
    const source = createMysqlSource(settingsOf(server), [`${schema}.t`])
    const batches = source.read(await source.head(), AbortSignal.timeout(180_000))
    await write(server, schema, ["INSERT INTO t VALUES (2, 20, 200, 'y')"])
    const changes: Change[] = []
    let isLate = false
    for await (const batch of batches) {
      changes.push(...changesOf(batch))
      if (changes.length === 1 && !isLate) {
        isLate = true
        await killDumps(server)
        await write(server, schema, [
          "INSERT INTO t VALUES (3, 30, 300, 'z')",
          'ALTER TABLE t MODIFY b INT FIRST',
          'INSERT INTO t (id) VALUES (4)',
        ])
      }
      if (changes.length === 3) break
    }
    await source.close()
    assert.deepEqual(changes.map(describeChange), [
      'insert [2] - 2,20,200,"y"',
      'insert [3] - 3,30,300,"z"',
      'insert [4] - NULL,4,NULL,NULL',
    ])
  })

  test(`${name}: of a parent that is not captured, only updates of its key touch its children`, async () => {
    const server = serverOf()
    const schema = await freshSchema(
      server,
      'CREATE TABLE p (word INT, id INT PRIMARY KEY)',
      'CREATE TABLE t (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON UPDATE CASCADE)',
      'INSERT INTO p VALUES (1, 1)',
      'INSERT INTO t VALUES (1, 1)',
    )
    const from = await headOf(server)
    await write(server, schema, [
      'UPDATE p SET word = 2',
      'ALTER TABLE p MODIFY id INT FIRST',
      'UPDATE p SET word = 3',
      'UPDATE p SET word = 4',
    ])
    const reading = await startReading(server, [`${schema}.t`], { from })
    await reading.untilHead()
    // Before the ALTER the parent's columns are not known, so that its update counts as one of the key; 9.7 logs cascades.
    assert.equal(reading.barriers.length, name === 'mysql' ? 0 : 1)
    await write(server, schema, ['UPDATE p SET id = 5'])
    await reading.untilHead()
    assert.equal(reading.barriers.length, name === 'mysql' ? 0 : 2)
    await reading.end()
  })

  if (name.startsWith('mariadb'))
    test(`${name}: a compressed statement is seen ahead as well`, async () => {
      const server = serverOf()
      const schema = await freshSchema(server, table)
      const from = await headOf(server)
      await server.execute('SET GLOBAL log_bin_compress = ON')
      try {
        const comment = 'x'.repeat(500)
        await write(server, schema, [
          "INSERT INTO t VALUES (1, 10, 100, 'x')",
          `ALTER TABLE t MODIFY b INT COMMENT '${comment}' FIRST`,
        ])
      } finally {
        await server.execute('SET GLOBAL log_bin_compress = OFF')
      }
      assertLost(await failureOfReading(server, `${schema}.t`, { from }))
    })
}

function testContradictions(name: string, serverOf: () => SqlServer): void {
  const unlogged = {
    'ALTER TABLE t ADD COLUMN n INT': /5 columns, not 4/,
    'ALTER TABLE t MODIFY a BIGINT': /column a is bigint, not int/,
    'ALTER TABLE t MODIFY a INT NOT NULL': /column a may not be NULL/,
    'ALTER TABLE t MODIFY c VARCHAR(11)': /column c is varchar\(11\), not varchar\(10\)/,
    "ALTER TABLE t MODIFY c ENUM('x')": /column c is enum/,
  }
  test(`${name}: a change that is not in the binlog contradicts the rows before it`, async () => {
    const server = serverOf()
    for (const [statement, message] of Object.entries(unlogged)) {
      const schema = await freshSchema(server, table)
      const from = await headOf(server)
      await write(server, schema, [
        "INSERT INTO t VALUES (1, 10, 100, 'x')",
        'SET SESSION sql_log_bin = 0',
        statement,
      ])
      const failure = await failureOfReading(server, `${schema}.t`, { from })
      assertLost(failure)
      assert.match(failure.message, message)
    }
  })

  test(`${name}: a label that information_schema cannot show is refused by its column`, async () => {
    const server = serverOf()
    const schema = await freshSchema(
      server,
      'CREATE TABLE t (id INT PRIMARY KEY, e ENUM("a", "\u{1f600}") CHARACTER SET utf8mb4)',
    )
    const from = await headOf(server)
    await write(server, schema, ['INSERT INTO t VALUES (1, 2)'])
    const failure = await failureOfReading(server, `${schema}.t`, { from })
    assert.deepEqual([failure.kind, /column e: its labels/.test(failure.message)], ['unsupported', true])
    const reading = await startReading(server, [`${schema}.t`], {
      from,
      settings: { excluded: { [`${schema}.t`]: ['e'] } },
    })
    await reading.untilHead()
    assert.deepEqual(reading.changes.map(describeChange), ['insert [1] - 1'])
    await reading.end()
  })
}

function assertLost(error: unknown): asserts error is Failure {
  assert(error instanceof Failure, String(error))
  assert.equal(error.kind, 'lost', error.message)
  assert.match(error.remedy ?? '', /run with --reload/)
}

function namesOf({ table: { columns } }: Change): string {
  return columns.map(({ name }) => name).join()
}

function cellsOf(row: Row | undefined, columns: number): string {
  return unpackRow(row ?? ('' as Row), columns)
    .map((cell) => (cell === null ? 'NULL' : textOf(cell ?? '')))
    .join()
}

async function headOf(server: SqlServer): Promise<Position> {
  const source = createMysqlSource(settingsOf(server), [])
  try {
    return await source.head()
  } finally {
    await source.close()
  }
}
