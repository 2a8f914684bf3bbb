/** Two documents as JSON text, compared by value; numbers by their digits, so that nothing beyond 2^53 is lost. */
import { stampField } from '../../sink/sink.ts'

/**
 * The names of the top-level fields that differ; none = the same document. What a document shows of itself is no part of it.
 * Where `lists` are unordered, those with the same members are equal.
 */
export function compareDocuments(
  expected: string,
  stored: string,
  lists: 'ordered' | 'unordered' = 'ordered',
): string[] {
  if (expected === stored) return []
  const [wanted, found] = [exact(expected), exact(stored)]
  const fields = new Set([...Object.keys(wanted), ...Object.keys(found)]).difference(ownFields)
  const isSorted = lists === 'unordered'
  return [...fields].filter(
    (field) => canonical(wanted[field], isSorted) !== canonical(found[field], isSorted),
  )
}

const ownFields: ReadonlySet<string> = new Set([stampField])

function exact(text: string): Record<string, unknown> {
  return JSON.parse(text, digits) as Record<string, unknown>
}

/** A reviver that keeps a number's own digits. */
function digits(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? { digits: context.source } : value
}

/** Text that is the same for the same value, whatever the order of an object's members, and of a list's where it is sorted. */
function canonical(value: unknown, isSorted: boolean): string {
  if (value === undefined) return 'absent'
  if (Array.isArray(value)) {
    const members = value.map((member) => canonical(member, isSorted))
    return `[${(isSorted ? members.toSorted() : members).join(',')}]`
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member, isSorted)}`).join(',')}}`
}
