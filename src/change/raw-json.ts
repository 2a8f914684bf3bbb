/**
 * Cuts JSON text into its members without parsing them. Versions and stored documents hold numbers that a parser would
 * round (beyond 2^53) or rewrite (1.10); here they stay the text that the server sent.
 */
import { Failure } from './failure.ts'

/** The raw text of each member of the object that is the whole text. */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>()
  readMembers(text, skipSpace(text, 0), members)
  return members
}

/** The members of each object in an array of objects. */
export function objectsOf(text: string): Map<string, string>[] {
  const objects: Map<string, string>[] = []
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== openBracket) throw broken(at)
  at = skipSpace(text, at + 1)
  while (text.charCodeAt(at) !== closeBracket) {
    const members = new Map<string, string>()
    at = skipSpace(text, readMembers(text, at, members))
    objects.push(members)
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1)
    else if (text.charCodeAt(at) !== closeBracket) throw broken(at)
  }
  return objects
}

/** A string that is given as raw JSON text. */
export function stringOf(raw: string): string {
  return raw.includes('\\') ? String(JSON.parse(raw)) : raw.slice(1, -1)
}

/** Reads the object that begins at `at` and returns where it ends. */
function readMembers(text: string, start: number, into: Map<string, string>): number {
  if (text.charCodeAt(start) !== openBrace) throw broken(start)
  let at = skipSpace(text, start + 1)
  while (text.charCodeAt(at) !== closeBrace) {
    const nameEnd = endOfString(text, at)
    const name = stringOf(text.slice(at, nameEnd))
    at = skipSpace(text, nameEnd)
    if (text.charCodeAt(at) !== colon) throw broken(at)
    at = skipSpace(text, at + 1)
    const end = endOfValue(text, at)
    into.set(name, text.slice(at, end))
    at = skipSpace(text, end)
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1)
    else if (text.charCodeAt(at) !== closeBrace) throw broken(at)
  }
  return at + 1
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === quote) return endOfString(text, start)
  if (first === openBrace || first === openBracket) return endOfNested(text, start)
  let at = start
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at++
  if (at === start) throw broken(at)
  return at
}

function endOfNested(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at) - 1
    else if (code === openBrace || code === openBracket) depth++
    else if ((code === closeBrace || code === closeBracket) && --depth === 0) return at + 1
  }
  throw broken(text.length)
}

function endOfString(text: string, start: number): number {
  if (text.charCodeAt(start) !== quote) throw broken(start)
  for (let at = start + 1; ; at++) {
    at = text.indexOf('"', at)
    if (at === -1) throw broken(text.length)
    let escapes = 0
    while (text.charCodeAt(at - 1 - escapes) === backslash) escapes++
    if (escapes % 2 === 0) return at + 1
  }
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) <= space) at++
  return at
}

function endsScalar(code: number): boolean {
  return code === comma || code === closeBrace || code === closeBracket || code <= space
}

function broken(at: number): Failure {
  return new Failure('transient', `this is no whole JSON: it breaks off at character ${at}`)
}

const [quote, comma, colon, backslash, space] = [34, 44, 58, 92, 32]
const [openBrace, closeBrace, openBracket, closeBracket] = [123, 125, 91, 93]
