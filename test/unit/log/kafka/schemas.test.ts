import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Table } from '../../../../src/change/change.ts'
import { fingerprintOf, parseTable, tableText } from '../../../../src/log/kafka/schemas.ts'

const masked: Table = {
  name: 'shop.people',
  columns: [
    { name: 'id', kind: 'integer', type: 'int', nullable: false, length: 4 },
    { name: 'email', kind: 'string', type: 'char(64)', nullable: true, length: 64, mask: 'hash:1f0c22ab' },
  ],
  key: [0],
}

test('a definition comes back with all that it says of its columns, masks too', () => {
  assert.deepEqual(parseTable(tableText(masked)), masked)
  const columns = masked.columns.map((column) => ({ ...column, mask: 'truncate:3' }))
  assert.notEqual(fingerprintOf(masked), fingerprintOf({ ...masked, columns }))
})
