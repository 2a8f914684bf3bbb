import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  documentType,
  typesHead,
  type TypedChild,
  type TypedField,
} from '../../../src/document/document-types.ts'

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

test('rows of other tables are objects and arrays of objects, as deep as they are', () => {
  const [code, id] = [field('code', {}), field('id', { kind: 'integer', type: 'int', length: 4 })]
  const product: TypedChild = { field: 'product', table: 'shop.products', kind: 'one', fields: [code] }
  const lines: TypedChild = { field: 'lines', table: 'shop.lines', kind: 'many', fields: [id, product] }
  assert.equal(
    documentType('orders', 'shop.orders', [id, lines]),
    `/** A document of the pipeline orders, from shop.orders. */
export interface OrdersDocument {
  /** int */
  readonly id: number
  /** shop.lines */
  readonly lines: readonly {
    /** int */
    readonly id: number
    /** shop.products */
    readonly product: {
      /** varchar(9) */
      readonly code: string
    } | null
  }[]
}
`,
  )
})

test('a transform that is checked with the types is refused when a column that it reads has another name', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-types-'))
  t.after(() => rm(folder, { recursive: true }))
  const check = async (price: string): Promise<string> => {
    const lines: TypedChild = {
      field: 'lines',
      table: 'shop.lines',
      kind: 'many',
      fields: [field(price, { kind: 'decimal' })],
    }
    const id = field('id', { kind: 'integer', length: 8 })
    await writeFile(join(folder, 'types.ts'), typesHead + documentType('orders', 'shop.orders', [id, lines]))
    await writeFile(
      join(folder, 'orders.ts'),
      `import type { OrdersDocument } from './types.ts'
       export function transform({ lines, ...order }: OrdersDocument) {
         return { ...order, cents: lines.map(({ price }) => Number(price) * 100) }
       }`,
    )
    const compiler = fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url))
    const options =
      '--ignoreConfig --noEmit --strict --module nodenext --allowImportingTsExtensions --target esnext'.split(
        ' ',
      )
    return await new Promise((resolve) => {
      execFile(compiler, [...options, join(folder, 'orders.ts')], (_failed, out) => resolve(out))
    })
  }
  assert.equal(await check('price'), '')
  assert.match(await check('unit_price'), /Property 'price' does not exist/)
})
