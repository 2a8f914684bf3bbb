/** Definitions of joined documents, with what a test does not care about filled in. */
import type { ChildDefinition, DocumentDefinition } from '../../src/document/definition.ts'

export function root(
  table: string,
  children: Readonly<Record<string, ChildDefinition>>,
  more: Partial<DocumentDefinition> = {},
): DocumentDefinition {
  return { table, fields: undefined, exclude: [], where: [], id: undefined, idPrefix: '', children, ...more }
}

export function child(
  table: string,
  on: Readonly<Record<string, string>>,
  more: Partial<ChildDefinition> = {},
): ChildDefinition {
  return {
    table,
    fields: undefined,
    exclude: [],
    where: [],
    kind: 'many',
    on,
    through: undefined,
    order: [],
    limit: undefined,
    mapping: 'nested',
    ...more,
  }
}
