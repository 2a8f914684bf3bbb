/** Which captured tables a statement's names mean. Names are compared without regard to case, as some servers do. */

export class CapturedTables {
  readonly #tables: ReadonlyMap<string, string>
  readonly #schemas: ReadonlySet<string>
  readonly #names: ReadonlySet<string>

  /** `schema.table`, as the configuration names them. */
  constructor(tables: readonly string[]) {
    this.#tables = new Map(tables.map((table) => [table.toLowerCase(), table]))
    const parts = tables.map((table) => table.toLowerCase().split('.'))
    this.#schemas = new Set(parts.map(([schema = '']) => schema))
    this.#names = new Set(parts.flat())
  }

  get all(): readonly string[] {
    return [...this.#tables.values()]
  }

  /** Those among `schema.table` or `schema.*` in small letters. */
  among(names: readonly string[]): readonly string[] {
    const meant = [...this.#tables].filter(
      ([lowerCase]) =>
        names.includes(lowerCase) || names.includes(`${lowerCase.slice(0, lowerCase.indexOf('.'))}.*`),
    )
    return meant.map(([, table]) => table)
  }

  /** Whether a statement with these names in small letters, in this default schema, may mean one of them. */
  mayBeMeant(names: ReadonlySet<string>, schema: string): boolean {
    return this.#schemas.has(schema.toLowerCase()) || !names.isDisjointFrom(this.#names)
  }
}
