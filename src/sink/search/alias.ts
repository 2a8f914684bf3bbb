/** An alias that documents are written and counted through shows all of its index. */
import { Failure } from '../../change/failure.ts'

/** What stands beside an alias of an index: a filter, a routing, whether it takes writes. */
export type AliasDefinition = Readonly<Record<string, unknown>>

/** Throws a Failure of kind `target` where the alias hides documents, or moves them to other shards. */
export function assertPlainAlias(alias: string, definition: AliasDefinition): void {
  if (
    definition['is_write_index'] !== false &&
    Object.keys(definition).every((name) => name === 'is_write_index')
  )
    return
  throw new Failure('target', `the alias ${alias} has a filter, a routing, or does not take writes`, {
    remedy: 'define it without filter, routing and is_write_index: false',
  })
}
