import type * as fc from 'fast-check'

/** One column, and values for it. */
export interface TypeCase {
  /** The column's definition. */
  readonly sql: string
  /** SQL expressions and the JSON text expected of each. */
  readonly extremes: readonly (readonly [sql: string, json: string])[]
  /** SQL expressions of random values. */
  readonly random: fc.Arbitrary<string>
  /** The servers that have it, where not all do. */
  readonly only?: readonly string[]
}
