import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Column, ColumnKind, Table } from '../../../src/change/change.ts'
import { Failure } from '../../../src/change/failure.ts'
import { bytesOf, type Cell } from '../../../src/change/row.ts'
import type { Comparison } from '../../../src/document/definition.ts'
import { compileFilter } from '../../../src/document/filter.ts'

function tableOf(kind: ColumnKind): Table {
  const column: Column = { name: 'c', kind, type: kind, nullable: true }
  return { name: 's.t', columns: [column], key: [0] }
}

function matches(kind: ColumnKind, cell: Cell, comparison: Comparison, value: unknown): boolean {
  return compileFilter([{ column: 'c', comparison, value }], tableOf(kind)).matches([cell])
}

const text = (value: string): string => bytesOf(JSON.stringify(value))

describe('a condition', () => {
  it('compares integers exactly beyond 2^53', () => {
    assert.ok(matches('integer', '9007199254740993', 'gt', 9007199254740992n))
    assert.ok(!matches('integer', '9007199254740993', 'eq', '9007199254740992'))
    assert.ok(matches('integer', '-5', 'lt', 3))
    assert.ok(matches('integer', '18446744073709551615', 'gte', '18446744073709551615'))
  })

  it('takes true and false for 1 and 0', () => {
    assert.ok(matches('integer', '1', 'eq', true))
    assert.ok(matches('bit', '0', 'eq', false))
    assert.ok(!matches('integer', '2', 'eq', true))
  })

  it('compares decimals by value, not by text', () => {
    assert.ok(matches('decimal', '"9.50"', 'lt', 10))
    assert.ok(matches('decimal', '"10.00"', 'eq', 10))
    assert.ok(matches('decimal', '"0.30"', 'eq', '0.3'))
  })

  it('compares floats as numbers', () => {
    assert.ok(matches('double', '1e-7', 'lt', 0.001))
    assert.ok(matches('float', '0.1', 'eq', 0.1))
  })

  it('compares texts by code point', () => {
    assert.ok(matches('string', text('😀'), 'gt', '\uffee'))
    assert.ok(matches('string', text('a"\\\n'), 'eq', 'a"\\\n'))
    assert.ok(matches('text', text('Köln'), 'eq', 'Köln'))
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const [left, right] = [Buffer.from(a), Buffer.from(b)]
        assert.equal(matches('string', text(a), 'lt', b), Buffer.compare(left, right) < 0)
      }),
    )
  })

  it('compares dates however they are spelled', () => {
    assert.ok(matches('datetime', '"2026-01-31T12:00:00.000"', 'eq', '2026-01-31 12:00:00'))
    assert.ok(matches('timestamp', '"2026-01-31T12:00:00Z"', 'lte', '2026-01-31T12:00:00'))
    assert.ok(matches('datetime', '"2026-01-31T12:00:00"', 'gte', '2026-01-31'))
    assert.ok(matches('date', '"2026-01-31"', 'lt', '2026-02-01'))
    assert.ok(matches('datetime', '"2026-01-31T12:00:00.500"', 'gt', '2026-01-31T12:00:00'))
  })

  it('compares sets by their labels and bytes by their value', () => {
    assert.ok(matches('set', bytesOf('["grün","b"]'), 'eq', 'grün,b'))
    assert.ok(matches('binary', '"AAEC"', 'eq', 'AAEC'))
    assert.ok(matches('binary', '"/w=="', 'gt', 'AA=='))
  })

  it('takes one of several values', () => {
    assert.ok(matches('enum', '"paid"', 'in', ['open', 'paid']))
    assert.ok(!matches('enum', '"void"', 'in', ['open', 'paid']))
    assert.ok(!matches('integer', null, 'in', [null, 1]))
  })
})

describe('a condition as a whole', () => {
  it('never matches NULL but with isNull', () => {
    for (const comparison of ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'] as const) {
      assert.ok(!matches('integer', null, comparison, 1))
      assert.ok(!matches('integer', '1', comparison, null))
    }
    assert.ok(matches('integer', null, 'isNull', true))
    assert.ok(!matches('integer', '1', 'isNull', true))
    assert.ok(matches('json', '1', 'isNull', false))
    assert.ok(matches('json', 'null', 'isNull', false), 'a JSON null is a value')
  })

  it('agrees with plain numbers on all comparisons', () => {
    const truth: Readonly<Record<string, (a: number, b: number) => boolean>> = {
      eq: (a, b) => a === b,
      ne: (a, b) => a !== b,
      lt: (a, b) => a < b,
      lte: (a, b) => a <= b,
      gt: (a, b) => a > b,
      gte: (a, b) => a >= b,
    }
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        for (const [comparison, holds] of Object.entries(truth))
          assert.equal(matches('integer', String(a), comparison as Comparison, b), holds(a, b))
      }),
    )
  })

  it('is refused where it can never hold, with the column’s name', () => {
    refused('integer', 'eq', 'abc')
    refused('string', 'eq', true)
    refused('json', 'eq', '{}')
    refused('date', 'gt', 5)
  })

  it('is refused for a column that is not there', () => {
    assert.throws(
      () => compileFilter([{ column: 'missing', comparison: 'eq', value: 1 }], tableOf('integer')),
      /no column missing/,
    )
  })
})

function refused(kind: ColumnKind, comparison: Comparison, value: unknown): void {
  assert.throws(
    () => matches(kind, '1', comparison, value),
    (error) => error instanceof Failure && error.kind === 'configuration' && error.message.includes(' c '),
  )
}
