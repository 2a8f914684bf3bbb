import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column, Table } from '../../../../src/change/change.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { shapeOf } from '../../../../src/document/shape.ts'
import { ColumnGate } from '../../../../src/pipeline/index/column-gate.ts'
import { definition } from '../../../support/one-pipeline.ts'

const id: Column = { name: 'id', kind: 'integer', type: 'int', nullable: false }
const name: Column = { name: 'name', kind: 'string', type: 'varchar(50)', nullable: false }

function tableOf(...columns: readonly Column[]): Table {
  return { name: definition.table, columns, key: [0] }
}

/** A gate of a pipeline that follows its columns, and what happened. */
function following(adapt: () => Promise<void>): {
  readonly gate: ColumnGate
  readonly load: { generation: number; reason: string }
} {
  const load = { generation: 1, reason: 'ALTER TABLE shop.items' }
  const gate = new ColumnGate({
    pipeline: 'items',
    group: 'items@main',
    table: definition.table,
    columns: {
      policy: 'auto',
      shapeOf: (table) => shapeOf(definition, table),
      present: () => Promise.reject(new Error('nobody asks')),
      mappings: () => ({}),
    },
    accepted: undefined,
    adapt,
    load: () => load,
    observe: () => undefined,
  })
  return { gate, load }
}

test('the index is made ready once for each shape of the table, and again when the columns changed again', async () => {
  let adaptions = 0
  const { gate, load } = following(async () => {
    await Promise.resolve()
    adaptions++
  })
  await Promise.all([gate.admitTable(tableOf(id)), gate.admitTable(tableOf(id))])
  await gate.admitTable(tableOf(id))
  assert.equal(adaptions, 1)
  await gate.admitTable(tableOf(id, name))
  assert.equal(adaptions, 2)
  load.generation++
  await gate.admitTable(tableOf(id, name))
  assert.equal(adaptions, 3)
})

test('what the index cannot hold is told with the statement; what passes by itself goes on as it is', async () => {
  const unfit = new Failure('configuration', 'it cannot hold them', { remedy: 'a new index' })
  const { gate } = following(() => Promise.reject(unfit))
  await assert.rejects(gate.admitTable(tableOf(id)), {
    kind: 'configuration',
    message: 'after ALTER TABLE shop.items: it cannot hold them',
    remedy: 'a new index; where the pipeline file is changed, run with --reload items',
  })
  const away = new Failure('transient', 'the server is away')
  await assert.rejects(following(() => Promise.reject(away)).gate.admitTable(tableOf(id)), away)
})
