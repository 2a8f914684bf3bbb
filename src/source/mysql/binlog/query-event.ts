/**
 * QUERY events: statements as text, as the client sent them, in its character set. What stands before the text:
 *
 *   thread (4) seconds (4) length of schema (1) error (2) length of variables (2) · variables · schema, 0
 *   variables: code (1), value, one after the other
 *
 * The schema is in UTF-8 whatever the client has. Of the variables two are needed to understand the text.
 */
import { charsetOf, decoderOf, holdsAscii, type TextDecode } from '../values/charset.ts'
import { statementFrom, type BinlogEvent } from './binlog-events.ts'

export interface QueryEvent {
  /** The default schema of the statement. */
  readonly schema: string
  /** A backslash in it always stands for what follows it: where it stood for itself there are two. */
  readonly statement: string
  /** It ended with an error, so that nobody knows how much of it was done. */
  readonly hasFailed: boolean
  /** Tables that it names may be temporary ones. */
  readonly mayBeTemporary: boolean
}

const usesTemporaryTableFlag = 4

/** Throws a Failure, `corrupt`, when the statement lies outside. */
export function readQuery(event: BinlogEvent): QueryEvent {
  const { buffer, from, to } = event
  const statementAt = statementFrom(event)
  const schemaTo = statementAt - 1
  const schemaAt = schemaTo - (buffer[from + 8] ?? 0)
  const text = buffer.toString('utf8', statementAt, to)
  return {
    schema: buffer.toString('utf8', schemaAt, schemaTo),
    // Nearly all are the same in every session: BEGIN.
    statement: plain.test(text) ? text : saidIn(event, schemaAt, statementAt),
    hasFailed: buffer.readUInt16LE(from + 9) !== 0,
    mayBeTemporary: (event.flags & usesTemporaryTableFlag) !== 0,
  }
}

/** ASCII without a backslash. */
const plain = /^[\0-[\]-\x7f]*$/

function saidIn({ buffer, from, to }: BinlogEvent, schemaAt: number, statementAt: number): string {
  const { collation, hasPlainBackslash } = sessionOf(buffer, from + variablesAt, schemaAt)
  const bytes = buffer.subarray(statementAt, to)
  const text = textDecoder(collation)?.(bytes) ?? bytes.toString('utf8')
  return hasPlainBackslash ? text.replaceAll('\\', '\\\\') : text
}

const variablesAt = 13

interface Session {
  /** Of the client's character set; undefined = not known. */
  readonly collation: number | undefined
  /** A backslash in a text stands for itself: sql_mode NO_BACKSLASH_ESCAPES. */
  readonly hasPlainBackslash: boolean
}

const sqlModeCode = 1
const catalogCode = 2
const charsetCode = 4
/** Bytes of values by their codes; those not here begin with a byte that tells the length of the rest. */
const valueBytes: Readonly<Record<number, number>> = { 0: 4, [sqlModeCode]: 8, 3: 4, [charsetCode]: 6 }
/** Servers write these first, and others behind them. */
const lastCode = 6
const noBackslashEscapes = 2 ** 20

function sessionOf(buffer: Buffer, from: number, to: number): Session {
  let collation: number | undefined
  let hasPlainBackslash = false
  for (let at = from; at < to && (buffer[at] ?? 255) <= lastCode;) {
    const code = buffer[at++] ?? 255
    if (code === sqlModeCode) hasPlainBackslash = (buffer.readUInt32LE(at) & noBackslashEscapes) !== 0
    if (code === charsetCode) collation = buffer.readUInt16LE(at)
    // A catalogue of old servers has a zero behind it.
    at += valueBytes[code] ?? 1 + (buffer[at] ?? 0) + (code === catalogCode ? 1 : 0)
  }
  return { collation, hasPlainBackslash }
}

const decoders = new Map<number, TextDecode | undefined>()

/** undefined = its bytes are UTF-8, or may be taken for it. Servers find words by their ASCII bytes, so a set without them is no help. */
function textDecoder(collation: number | undefined): TextDecode | undefined {
  if (collation === undefined) return undefined
  if (!decoders.has(collation)) {
    const charset = charsetOf(collation) ?? 'binary'
    decoders.set(collation, holdsAscii(charset) ? decoderOf(charset) : undefined)
  }
  return decoders.get(collation)
}
