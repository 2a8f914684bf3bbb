/** Two documents as JSON text, compared by value; numbers by their digits, so that nothing beyond 2^53 is lost. */
import { stampField } from '../sink/sink.ts'

/** The names of the top-level fields that differ; none = the same document. What a document shows of itself is no part of it. */
export function compareDocuments(expected: string, stored: string): string[] {
  if (expected === stored) return []
  const [wanted, found] = [exact(expected), exact(stored)]
  const fields = new Set([...Object.keys(wanted), ...Object.keys(found)]).difference(ownFields)
  return [...fields].filter((field) => canonical(wanted[field]) !== canonical(found[field]))
}

const ownFields: ReadonlySet<string> = new Set([stampField])

function exact(text: string): Record<string, unknown> {
  return JSON.parse(text, digits) as Record<string, unknown>
}

/** A reviver that keeps a number's own digits. */
function digits(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? { digits: context.source } : value
}

/** Text that is the same for the same value, whatever the order of members. */
function canonical(value: unknown): string {
  if (value === undefined) return 'absent'
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}
