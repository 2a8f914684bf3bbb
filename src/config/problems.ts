/** What is wrong with a configuration: all of it at once, each with its place, what was found and what is expected. */
import { Failure } from '../change/failure.ts'

export interface Problem {
  /** The file, the environment variable or the argument that says it. */
  readonly origin: string
  /** Line in the file, from 1. */
  readonly line?: number | undefined
  /** `log.segmentMb`; empty for a whole file. */
  readonly path: string
  /** What was found, as a sentence or a value; never a secret. */
  readonly found: string
  readonly expected?: string | undefined
  /** What was probably meant. */
  readonly suggestion?: string | undefined
}

/** Tells a problem of the file that is being read, by its place in it. */
export type Complain = (
  path: readonly string[],
  found: string,
  more?: { readonly expected?: string; readonly suggestion?: string | undefined },
) => void

/** Throws a Failure that lists all problems; does nothing when there are none. */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  const lines = problems.map((problem) => `  ${describeProblem(problem)}`)
  throw new Failure('configuration', `the configuration has ${count}:\n${lines.join('\n')}`)
}

function describeProblem(problem: Problem): string {
  const place = problem.line === undefined ? problem.origin : `${problem.origin}:${problem.line}`
  const parts = [problem.path === '' ? problem.found : `${problem.path}: ${problem.found}`]
  if (problem.expected !== undefined) parts.push(`expected ${problem.expected}`)
  if (problem.suggestion !== undefined) parts.push(`did you mean "${problem.suggestion}"?`)
  return `${place}: ${parts.join('; ')}`
}

/** The candidate that a mistyped word most likely meant; undefined when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let cost = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      )
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1)
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return at(last, to.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
