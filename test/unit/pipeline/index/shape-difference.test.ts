import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column, Table } from '../../../../src/change/change.ts'
import type { DocumentDefinition } from '../../../../src/document/definition.ts'
import { limitedTo, shapeOf } from '../../../../src/document/shape.ts'
import { compareShapes, tellDifference } from '../../../../src/pipeline/index/shape-difference.ts'

const id: Column = { name: 'id', kind: 'integer', type: 'int', nullable: false, length: 4 }
const name: Column = { name: 'name', kind: 'string', type: 'varchar(20)', nullable: true, length: 20 }
const price: Column = {
  name: 'price',
  kind: 'decimal',
  type: 'decimal(8,2)',
  nullable: true,
  precision: 8,
  scale: 2,
}
const all: DocumentDefinition = {
  table: 'shop.items',
  fields: undefined,
  exclude: [],
  where: [],
  id: undefined,
  idPrefix: '',
}

function tableOf(columns: readonly Column[], key: readonly number[] = [0]): Table {
  return { name: 'shop.items', columns, key }
}

/** What is told of the second columns where the first were accepted. */
function told(
  before: readonly Column[],
  now: readonly Column[],
  definition: DocumentDefinition = all,
): string {
  return tellDifference(
    compareShapes(shapeOf(definition, tableOf(before)), shapeOf(definition, tableOf(now))),
  )
}

test('each change of what documents show is told', () => {
  const columns = [id, name, price]
  assert.equal(told(columns, columns), '')
  assert.equal(told([id, name], columns), 'field price (decimal(8,2)) is new')
  assert.equal(told(columns, [id, price]), 'field name: the column name is gone')
  const wide: Column = { ...id, type: 'bigint', length: 8 }
  assert.equal(told(columns, [wide, name, price]), 'field id was int and is bigint')
  const exact: Column = { ...price, type: 'decimal(9,3)', precision: 9, scale: 3 }
  assert.equal(told(columns, [id, name, exact]), 'field price was decimal(8,2) and is decimal(9,3)')
  const text: Column = { ...name, kind: 'integer', type: 'int', length: 4 }
  assert.equal(told(columns, [id, text, price]), 'field name was varchar(20) and is int')
})

test('what changes no document is not told: order, length of texts, NULL, columns that are not shown', () => {
  const columns = [id, name, price]
  assert.equal(told(columns, [id, price, { ...name, type: 'varchar(90)', length: 90, nullable: false }]), '')
  assert.equal(told(columns, [id, name], { ...all, exclude: ['price'] }), '')
  assert.equal(
    told(columns, [id, { ...price, kind: 'date' }, name], { ...all, fields: { title: 'name' } }),
    '',
  )
})

test('conditions and keys are part of it, shown or not', () => {
  const where = [{ column: 'price', comparison: 'gt', value: 5 }] as const
  const narrow = { ...all, fields: { title: 'name' }, where }
  assert.equal(
    told([id, name, price], [id, name], narrow),
    'the condition on price: the column price is gone',
  )
  const [before, now] = [[0], [0, 1]].map((key) => shapeOf(all, tableOf([id, name], key)))
  assert(before !== undefined && now !== undefined)
  assert.equal(tellDifference(compareShapes(before, now)), 'the key was (id) and is (id, name)')
})

test('a definition that is limited to a shape shows no column that came later', () => {
  const accepted = shapeOf({ ...all, exclude: ['price'] }, tableOf([id, name, price]))
  const limited = limitedTo({ ...all, exclude: ['price'] }, accepted)
  const shown = shapeOf(limited, tableOf([{ ...name, name: 'new' }, id, name, price]))
  assert.deepEqual(
    shown.fields.map(({ field }) => field),
    ['id', 'name'],
  )
})
