import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Failure, type FailureKind } from '../../src/change/failure.ts'
import { SqlUpstream, type SqlSettings } from '../../src/source/mysql/reading/sql-upstream.ts'
import type { SqlServer } from '../stack/sql-server.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { settingsOf } from '../support/source-reading.ts'

const never = new AbortController().signal

const names = ['mysql', 'mariadb'] as const

for (const name of names) {
  suite(`${name}: a query that documents are enriched from`, () => {
    let stack: Stack
    const serverOf = (): SqlServer => stack.servers.get(name) as SqlServer
    before(async () => {
      stack = await startStack({ servers: [name] })
      const connection = await serverOf().connect()
      await connection.query('CREATE DATABASE geo')
      await connection.query(
        `CREATE TABLE geo.places (id BIGINT UNSIGNED PRIMARY KEY, code CHAR(2), name VARCHAR(40) CHARACTER SET latin1,
           area DECIMAL(20,4), share DOUBLE, founded DATE, seen DATETIME(3), mark BIT(9), raw_bytes VARBINARY(9), more JSON)`,
      )
      await connection.query(
        `INSERT INTO geo.places VALUES
           (18446744073709551615, 'de', 'Köln', 123456789012345.6789, 1e300, '1999-01-02', '2020-01-01 10:11:12.5', b'100000001', x'00ff', '{"a":1}'),
           (2, 'fr', 'Nîmes', -0.5, 0.1, NULL, NULL, NULL, NULL, NULL), (3, 'fr', 'Orange', 0, 0, NULL, NULL, NULL, NULL, NULL)`,
      )
      // The grant that a careless person gave.
      await connection.query('GRANT DELETE ON geo.* TO cdc')
      await connection.end()
    })
    after(() => stack?.[Symbol.asyncDispose]())

    function upstream(query: string, more: Partial<SqlSettings> = {}): SqlUpstream {
      const settings: SqlSettings = {
        name: 'places',
        query,
        rows: 'one',
        value: undefined,
        questionsMax: 100,
        timeoutMs: 60_000,
        ...more,
      }
      return new SqlUpstream(settingsOf(serverOf()), settings)
    }

    test('answers each key with its row, in the forms of change events', async () => {
      const places = upstream(
        'SELECT id, name, area, share, founded, seen, mark, raw_bytes FROM geo.places WHERE id IN (:keys)',
      )
      const answers = await places.ask([{ id: '2' }, { id: '7' }, { id: '18446744073709551615' }], never)
      assert.deepEqual(answers, [
        '{"name":"Nîmes","area":"-0.5000","share":0.1,"founded":null,"seen":null,"mark":null,"raw_bytes":null}',
        undefined,
        '{"name":"Köln","area":"123456789012345.6789","share":1e+300,"founded":"1999-01-02","seen":"2020-01-01T10:11:12.500","mark":257,"raw_bytes":"AP8="}',
      ])
      await places.close()
    })

    test('answers with lists, with one column, and with keys that are spelled differently', async () => {
      const query = 'SELECT code, id, name FROM geo.places WHERE code IN (:keys) ORDER BY id'
      const all = upstream(query, { rows: 'many', value: 'name' })
      assert.deepEqual(await all.ask([{ code: '"FR"' }, { code: '"xx"' }], never), [
        '["Nîmes","Orange"]',
        '[]',
      ])
      await all.close()
      const one = upstream(query)
      await assert.rejects(
        one.ask([{ code: '"fr"' }], never),
        failing('configuration', /gave 2 rows for one key/),
      )
      await one.close()
    })

    test('tells keys apart that are spelled alike, as the collation has it, and refuses rows of other keys', async () => {
      const asked = [{ code: '"FR"' }, { code: '"fr"' }, { code: '"Fr"' }]
      for (const [collation, wanted] of [
        ['utf8mb4_bin', [undefined, '{"id":2}', undefined]],
        ['utf8mb4_general_ci', ['{"id":2}', '{"id":2}', '{"id":2}']],
      ] as const) {
        const one = upstream(
          `SELECT code, MIN(id) AS id FROM geo.places WHERE CONVERT(code USING utf8mb4) COLLATE ${collation} IN (:keys) GROUP BY code`,
        )
        assert.deepEqual(await one.ask(asked, never), wanted, collation)
        await one.close()
      }
      const turned = upstream('SELECT name, id FROM geo.places WHERE id IN (:keys)')
      await assert.rejects(
        turned.ask([{ id: '2' }], never),
        failing('configuration', /a row for a key that was not asked for/),
      )
      await turned.close()
    })

    test('writes nothing, and says what is wrong with a query or a server', async () => {
      const writing = upstream('DELETE FROM geo.places WHERE id IN (:keys)')
      await assert.rejects(writing.ask([{ id: '2' }], never), failing(undefined, /read.only/i))
      await writing.close()
      const wrong = upstream('SELECT id, nam FROM geo.places WHERE id IN (:keys)')
      await assert.rejects(wrong.ask([{ id: '2' }], never), failing(undefined, /nam/))
      await wrong.close()
      const slow = upstream('SELECT id, SLEEP(60) FROM geo.places WHERE id IN (:keys)', { timeoutMs: 200 })
      await assert.rejects(slow.ask([{ id: '2' }], never), failing('transient', /within 200 ms/))
      await slow.close()
      const absent = upstream('SELECT id, name FROM geo.places WHERE id IN (:keys)', { value: 'title' })
      await assert.rejects(absent.ask([{ id: '2' }], never), failing('configuration', /no column title/))
      await absent.close()
    })
  })
}

function failing(kind: FailureKind | undefined, words: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof Failure)
    if (kind !== undefined) assert.equal(error.kind, kind)
    assert.match(error.message, words)
    return true
  }
}
