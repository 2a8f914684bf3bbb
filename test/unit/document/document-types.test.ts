import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentType, type TypedField } from '../../../src/document/document-types.ts'

function field(name: string, column: Partial<TypedField['column']>, form?: TypedField['form']): TypedField {
  return {
    field: name,
    column: { name, kind: 'string', type: 'varchar(9)', nullable: false, ...column },
    form,
  }
}

test('a type says what each field can be, and what may be null', () => {
  const text = documentType('order-lines', 'shop.lines', [
    field('id', { kind: 'integer', type: 'bigint', length: 8 }),
    field('count', { kind: 'integer', type: 'int', length: 4, nullable: true }),
    field('price', { kind: 'decimal', type: 'decimal(10,2)' }),
    field('amount', { kind: 'decimal', type: 'decimal(10,2)' }, 'number'),
    field('made on', { kind: 'date', type: 'date' }),
    field('extra', { kind: 'json', type: 'json', nullable: true }),
    { field: 'weather', column: undefined, form: undefined },
  ])
  assert.equal(
    text,
    `/** A document of the pipeline order-lines, from shop.lines. */
export interface OrderLinesDocument {
  /** bigint */
  readonly id: number | bigint
  /** int */
  readonly count: number | null
  /** decimal(10,2) */
  readonly price: string
  /** decimal(10,2) */
  readonly amount: number | bigint | RawNumber
  /** date */
  readonly "made on": string | null
  /** json */
  readonly extra: unknown
  /** from elsewhere */
  readonly weather: unknown
}
`,
  )
})
