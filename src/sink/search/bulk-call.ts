/** Where bulk requests go, and how one looks. */
import type { Operation } from '../sink.ts'
import { bulkParts } from './bulk-body.ts'
import type { Call } from './search-client.ts'

/** Operations on a family name their indexes themselves. */
export function bulkCall(alias: string, isFamily: boolean): Pick<Call, 'method' | 'path' | 'query'> {
  const method = 'POST'
  if (isFamily) return { method, path: '/_bulk', query: namedQuery }
  return { method, path: `/${encodeURIComponent(alias)}/_bulk`, query: bulkQuery }
}

/** The call, and the very lines of its body that are the operation's. */
export function bulkRequest(alias: string, isFamily: boolean, operation: Operation): readonly string[] {
  const { method, path, query } = bulkCall(alias, isFamily)
  const lines = [...bulkParts([operation], Infinity)].map(({ body }) => body.toString().trimEnd())
  return [
    `${method} ${path}?${new URLSearchParams(query).toString()}`,
    ...lines.flatMap((line) => line.split('\n')),
  ]
}

const namedQuery = { filter_path: 'errors,items.*.status,items.*.error' }
/** Each item says where it went: the alias may be moved, and even be back, between two looks at it. */
const bulkQuery = { filter_path: `${namedQuery.filter_path},items.*._index`, require_alias: 'true' }
