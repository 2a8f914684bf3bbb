import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column } from '../../../src/change/change.ts'
import { keyFrom } from '../../../src/change/key.ts'
import { textOf } from '../../../src/change/row.ts'

function spelled(columns: readonly Partial<Column>[], text: string): string {
  const named = columns.map((column, at) => ({ ...base, name: `c${at}`, ...column }))
  return textOf(keyFrom({ name: 'shop.items', columns: named, key: [...named.keys()] }, text))
}

const base: Column = { name: '', kind: 'integer', type: 'int', nullable: false }

test('one value may stand alone, quoted or not; several are an array', () => {
  assert.equal(spelled([{}], '42'), '[42]')
  assert.equal(spelled([{}], ' [ 42 ]\n'), '[42]')
  assert.equal(spelled([{}], '"42"'), '[42]')
  const word: Partial<Column> = { kind: 'string', type: 'varchar(9)' }
  assert.equal(spelled([word], 'K\u00f6ln "am" Rhein'), '["K\u00f6ln \\"am\\" Rhein"]')
  assert.equal(spelled([word], '"K\\u00f6ln"'), '["K\u00f6ln"]')
  assert.equal(spelled([word], '007'), '["007"]')
  assert.equal(spelled([word, {}], '[7, "7"]'), '["7",7]')
})

test('each type has one spelling, however it was written', () => {
  const cases: readonly (readonly [Partial<Column>, string, string])[] = [
    [{ kind: 'integer', type: 'bigint', length: 8 }, '9007199254740993', '9007199254740993'],
    [{}, '-007', '-7'],
    [{}, '-0', '0'],
    [{ kind: 'decimal', precision: 10, scale: 2 }, '12.3', '"12.30"'],
    [{ kind: 'decimal', precision: 10, scale: 2 }, '-0', '"0.00"'],
    [{ kind: 'decimal', precision: 10, scale: 2 }, '0012.3000', '"12.30"'],
    [{ kind: 'decimal', precision: 10, scale: 0 }, '-12', '"-12"'],
    [{ kind: 'double' }, '1e3', '1000'],
    [{ kind: 'bit', length: 8 }, '5', '5'],
    [{ kind: 'year' }, '2026', '2026'],
    [{ kind: 'date' }, '2026-11-22', '"2026-11-22"'],
    [{ kind: 'datetime', precision: 0 }, '2026-11-22 10:00:00', '"2026-11-22T10:00:00"'],
    [{ kind: 'datetime', precision: 3 }, '2026-11-22T10:00:00.5', '"2026-11-22T10:00:00.500"'],
    [{ kind: 'timestamp', precision: 0 }, '2026-11-22 10:00:00', '"2026-11-22T10:00:00Z"'],
    [{ kind: 'time', precision: 2 }, '-838:59:59', '"-838:59:59.00"'],
    [{ kind: 'binary', type: 'binary(4)', length: 4 }, 'YQ==', '"YQAAAA=="'],
    [{ kind: 'binary', type: 'varbinary(4)', length: 4 }, 'YQ', '"YQ=="'],
    [{ kind: 'uuid' }, 'CA85C9A2-D4AA-11EE-A506-0242AC120002', '"ca85c9a2-d4aa-11ee-a506-0242ac120002"'],
    [{ kind: 'enum', type: "enum('a','b')" }, 'b', '"b"'],
    [{ kind: 'set', type: "set('a','b')" }, '[["a","b"]]', '["a","b"]'],
  ]
  for (const [column, text, cell] of cases)
    assert.equal(spelled([column], text), `[${cell}]`, `${column.kind}: ${text}`)
})

test('what cannot be a key of the table is refused with what is wrong', () => {
  const cases: readonly (readonly [Partial<Column>, string, RegExp])[] = [
    [{}, '', /nothing is there/],
    [{}, '[1,2]', /2 values, but the key of shop\.items is c0/],
    [{}, '[1', /\[1 is not JSON/],
    [{}, 'abc', /c0 \(int\) is abc/],
    [{}, '[null]', /c0 \(int\) is null/],
    [{}, '[true]', /c0 \(int\) is true/],
    [{}, '1.5', /is 1\.5/],
    [{ unsigned: true }, '-1', /is -1/],
    [{ kind: 'decimal', type: 'decimal(10,2)', precision: 10, scale: 2 }, '1.005', /is 1\.005/],
    [{ kind: 'date', type: 'date' }, '22.11.2026', /is 22\.11\.2026/],
    [{ kind: 'datetime', type: 'datetime' }, '2026-11-22T10:00:00.5', /is 2026/],
    [{ kind: 'binary', type: 'binary(4)' }, 'not base64!', /is not base64!/],
    [{ kind: 'set', type: 'set' }, 'a', /an array of labels/],
    [{ kind: 'json', type: 'json' }, '1', /c0 \(json\)/],
  ]
  for (const [column, text, message] of cases)
    assert.throws(() => spelled([column], text), { kind: 'configuration', message }, text)
})
