import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChildDefinition, DocumentDefinition } from '../../../src/document/definition.ts'
import { mayAlter } from '../../../src/document/concern.ts'

const all: DocumentDefinition = {
  table: 's.t',
  fields: undefined,
  exclude: ['Secret'],
  where: [],
  id: undefined,
  idPrefix: '',
}
const chosen: DocumentDefinition = {
  ...all,
  fields: { shown: 'Name' },
  where: [{ column: 'state', comparison: 'eq', value: 1 }],
}
const child: ChildDefinition = {
  table: 's.c',
  kind: 'many',
  fields: { a: 'a' },
  exclude: [],
  where: [],
  on: { parent: 'id' },
  through: undefined,
  order: [{ column: 'rank', descending: false }],
  limit: undefined,
  mapping: 'object',
}
const family: DocumentDefinition = { ...chosen, children: { list: child } }

function queried(query: string): DocumentDefinition {
  return { ...all, sql: { query, triggers: {}, still: [] } }
}

test('a statement alters documents of its table, whatever it did, unless it only added columns that they do not use', () => {
  const cases: readonly (readonly [DocumentDefinition, string, readonly string[] | undefined, boolean])[] = [
    [all, 's.other', undefined, false],
    [all, 's.t', undefined, true],
    [all, 's.t', ['new'], true],
    [all, 's.t', ['secret'], false],
    [all, 's.t', ['secret', 'new'], true],
    [chosen, 's.t', undefined, true],
    [chosen, 's.t', ['new'], false],
    [chosen, 's.t', ['name'], true],
    [chosen, 's.t', ['state'], true],
    [family, 's.t', ['new'], false],
    [family, 's.c', ['new'], false],
    [family, 's.c', ['a'], true],
    [family, 's.c', ['rank'], true],
    [family, 's.c', ['parent'], true],
    [family, 's.c', undefined, true],
    [{ ...family, children: { list: { ...child, fields: undefined } } }, 's.c', ['new'], true],
    [queried('SELECT id, name FROM s.t WHERE id IN (:ids)'), 's.t', ['new'], false],
    [queried('SELECT t.* FROM s.t t WHERE id IN (:ids)'), 's.t', ['new'], true],
    [queried('SELECT id, n FROM s.t Natural JOIN s.c WHERE id IN (:ids)'), 's.t', ['new'], true],
    [queried('SELECT d.a, d.b FROM (TABLE s.t) d (a, b) WHERE d.a IN (:ids)'), 's.t', ['new'], true],
  ]
  for (const [definition, table, adds, altered] of cases) {
    const effect = adds === undefined ? {} : { effect: { kind: 'widened', columns: adds } as const }
    assert.equal(
      mayAlter(definition, { table, statement: 'x', ...effect }),
      altered,
      `${table} ${adds?.join() ?? 'anything'}`,
    )
  }
})
