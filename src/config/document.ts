/** One configuration file: its value with references resolved, and everything that is wrong with it. */
import { readFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { Failure } from '../change/failure.ts'
import { coerce, conform, isMapping, nodeAt, type Complaint, type SchemaNode } from './conform.ts'
import type { Problem } from './problems.ts'
import { resolveReferences } from './references.ts'
import type { Secrets } from './secrets.ts'
import { parseYaml } from './yaml.ts'

export interface Document {
  readonly path: string
  /** The path as a person would write it here. */
  readonly origin: string
  readonly value: Readonly<Record<string, unknown>>
  readonly problems: readonly Problem[]
  readonly lineOf: (path: readonly string[]) => number
  /** Whether a value at this path hangs on a reference that could not be resolved. */
  readonly isUnresolved: (path: readonly string[]) => boolean
}

export interface Reading {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  readonly secrets: Secrets
  /** References that cannot be resolved are no problem: they stay as they are written. */
  readonly offline: boolean
}

/** Throws a Failure for a file that cannot be read or is not YAML; other problems are in the answer. */
export function readDocument(path: string, schema: SchemaNode, reading: Reading): Document {
  const origin = relative(reading.workingDirectory, path)
  const parsed = parseYaml(readText(path, origin), origin)
  const problems: Problem[] = []
  const unresolved = new Set<string>()

  const resolveText = (text: string, at: readonly string[]): unknown => {
    const { environment, secrets } = reading
    const resolved = resolveReferences(text, { environment, secrets, folder: dirname(path) })
    for (const found of resolved.missing) {
      unresolved.add(at.join('.'))
      if (!reading.offline) problems.push({ origin, line: parsed.lineOf(at), path: at.join('.'), found })
    }
    return coerce(nodeAt(schema, at), resolved.text)
  }
  const isUnresolved = (at: readonly string[]) =>
    at.some((_, index) => unresolved.has(at.slice(0, index + 1).join('.')))

  const value = mapTexts(withoutEmptyGroups(parsed.value ?? {}, schema), [], resolveText)
  for (const complaint of conform(schema, value)) {
    if (!isUnresolved(complaint.path)) problems.push(problemOf(origin, complaint, parsed.lineOf))
  }
  return { path, origin, value: isMapping(value) ? value : {}, problems, lineOf: parsed.lineOf, isUnresolved }
}

export function problemOf(
  origin: string,
  complaint: Complaint,
  lineOf?: (path: readonly string[]) => number,
): Problem {
  const { path, found, expected, suggestion } = complaint
  return { origin, line: lineOf?.(path), path: path.join('.'), found, expected, suggestion }
}

function readText(path: string, origin: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure('configuration', `${origin} cannot be read: ${(cause as Error).message}`, {
      remedy: 'millrace init makes a first configuration from a table; --config FILE names another one',
      cause,
    })
  }
}

/** A group whose members are all commented out reads as null: it is as good as not there. */
function withoutEmptyGroups(value: unknown, schema: SchemaNode): unknown {
  if (!isMapping(value)) return value
  const members = Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
    const node = nodeAt(schema, [key])
    if (node?.type !== 'object') return [[key, member]]
    return member === null ? [] : [[key, withoutEmptyGroups(member, node)]]
  })
  return Object.fromEntries(members)
}

function mapTexts(
  value: unknown,
  path: readonly string[],
  change: (text: string, path: readonly string[]) => unknown,
): unknown {
  if (typeof value === 'string') return change(value, path)
  if (Array.isArray(value))
    return value.map((item, index) => mapTexts(item, [...path, String(index)], change))
  if (!isMapping(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, mapTexts(member, [...path, key], change)]),
  )
}
