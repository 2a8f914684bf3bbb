import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Table } from '../../../src/change/change.ts'
import { Failure } from '../../../src/change/failure.ts'
import { packRecords } from '../../../src/change/records.ts'
import { keyOf, packRow, type Cell } from '../../../src/change/row.ts'
import { childChanges } from '../../../src/document/child-changes.ts'
import type { Concern } from '../../../src/document/enricher.ts'
import { child, root } from '../../support/joined-definition.ts'

const lines: Table = {
  name: 'lines',
  columns: ['id', 'order_id', 'amount', 'note'].map((name) => ({
    name,
    kind: 'integer',
    type: 'int',
    nullable: true,
  })),
  key: [0],
}
const changes = childChanges(
  root('orders', {
    lines: child(
      'lines',
      { order_id: 'id' },
      { fields: { amount: 'amount' }, where: [{ column: 'amount', comparison: 'gt', value: 0 }] },
    ),
  }),
)

function concerns(
  before: readonly Cell[] | undefined,
  after: readonly Cell[] | undefined,
): readonly Concern[] {
  const common = { table: lines, committedAtMs: 1, key: keyOf(lines, before ?? after ?? ['1']) }
  const change = {
    ...common,
    op:
      before === undefined
        ? after === undefined
          ? 'touch'
          : 'insert'
        : after === undefined
          ? 'delete'
          : 'update',
    before: before === undefined ? undefined : packRow(before),
    after: after === undefined ? undefined : packRow(after),
  } as Change
  const cursor = packRecords([change]).cursor()
  cursor.next()
  return changes.concerns(cursor)
}

test('both images count: a row that moves concerns its old document and its new one', () => {
  assert.deepEqual(concerns(['1', '10', '5', '0'], ['1', '20', '5', '0']), [
    { ascent: 0, values: ['10'] },
    { ascent: 0, values: ['20'] },
  ])
  assert.deepEqual(concerns(undefined, ['1', '10', '5', '0']), [{ ascent: 0, values: ['10'] }])
  assert.deepEqual(concerns(['1', '10', '5', '0'], undefined), [{ ascent: 0, values: ['10'] }])
})

test('what no document shows concerns none', () => {
  assert.deepEqual(concerns(['1', '10', '5', '0'], ['1', '10', '5', '9']), [], 'a column that is not used')
  assert.deepEqual(
    concerns(['1', '10', '0', '0'], ['1', '10', '-1', '0']),
    [],
    'filtered out before and after',
  )
  assert.deepEqual(concerns(['1', '10', '0', '0'], ['1', '10', '1', '0']), [{ ascent: 0, values: ['10'] }])
  assert.deepEqual(concerns(['1', null, '5', '0'], ['1', '20', '5', '0']), [{ ascent: 0, values: ['20'] }])
})

test('a touch shows nothing: its row is to be read; a row without the joining columns is refused', () => {
  assert.deepEqual(concerns(undefined, undefined), [{ ascent: 0, values: undefined }])
  assert.throws(
    () => concerns(['1', undefined, undefined, undefined], [undefined, undefined, '5', undefined]),
    (error) => error instanceof Failure && error.kind === 'configuration',
  )
})
