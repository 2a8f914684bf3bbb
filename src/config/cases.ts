/** Examples of what a transform makes of a document, written by the user and run without servers. */
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isMapping } from './conform.ts'
import { refuse, type Problem } from './problems.ts'
import { parseYaml } from './yaml.ts'

export interface Case {
  readonly name: string
  /** The document before the transform. */
  readonly given: Readonly<Record<string, unknown>>
  /** What is to come of it; null = no document. */
  readonly expected: Readonly<Record<string, unknown>> | null
  readonly line: number
}

/** Where the cases of a pipeline file are: `pipelines/orders.yaml` has `pipelines/cases/orders.yaml`. */
export function casesFile(origin: string): string {
  return join(dirname(origin), 'cases', basename(origin))
}

/** undefined = there is no such file. Throws a Failure of kind `configuration` that lists all that is wrong in it. */
export function readCases(path: string, origin: string): readonly Case[] | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { value, lineOf } = parseYaml(text, origin)
  const problems: Problem[] = []
  const cases = (Array.isArray(value) ? value : [undefined]).map((each: unknown, at): Case => {
    const line = lineOf([String(at)])
    const fault = faultOf(each)
    if (fault !== undefined) problems.push({ origin, line, path: String(at), ...fault })
    const { name, given, expected } = each as Partial<Case> & Pick<Case, 'given' | 'expected'>
    return { name: name ?? `case ${at + 1}`, given, expected, line }
  })
  refuse(problems)
  return cases
}

function faultOf(value: unknown): { readonly found: string; readonly expected: string } | undefined {
  const expected = 'a list of mappings with given, expected and perhaps name'
  if (!isMapping(value)) return { found: 'is not a mapping', expected }
  const unknown = Object.keys(value).find((key) => !['name', 'given', 'expected'].includes(key))
  if (unknown !== undefined) return { found: `has the unknown key ${unknown}`, expected }
  if (!isMapping(value['given'])) return { found: 'has no mapping given', expected }
  const { expected: wanted } = value
  return wanted === null || isMapping(wanted)
    ? undefined
    : { found: 'has neither a mapping nor null as expected', expected }
}
