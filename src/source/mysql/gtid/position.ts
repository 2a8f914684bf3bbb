/**
 * A place in the stream, as one short text that others keep without reading it:
 *
 *   {"gtid": executed set, "inside": {"gtid", "events", "server"}, "xa": [{"branch", "gtid", "at"}], "file", "pos",
 *    "server", "last": {"gtid", "at", ...}}
 *
 * `inside` is there within a transaction: so many of its row events were given. They count only on the server that wrote
 * them down so; another one may have cut the same rows into other events, and there the transaction is given again
 * whole. Events are counted rather than rows, because they do not depend on which tables are captured. `xa` are the XA
 * branches that are prepared: their PREPAREs are in the set, but their rows were not given, so they are read again.
 * `file` and `pos` are for people, and positions are never compared by them: they wrap, and start anew on another server.
 * But a server whose newest file is none after `file` was set back, so `file` goes on only once the last transaction was
 * found there again.
 * `server` is the one that was read, `last` tells the last whole transaction from another one that bears the same number.
 */
import type { Position } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import { containsAll, parseGtidSet } from './gtid-set.ts'
import type { GtidSet } from './gtid.ts'

export interface Place {
  /** The transactions that were given whole. */
  readonly executed: GtidSet
  readonly inside?: Inside | undefined
  /** XA branches that are prepared, in the order of their PREPAREs. */
  readonly open?: readonly OpenBranch[] | undefined
  readonly file?: string | undefined
  readonly offset?: number | undefined
  /** The identity of the server that was read. */
  readonly server?: string | undefined
  /** The last of `executed` that was given. */
  readonly last?: Identity | undefined
}

/** What tells a transaction from another one with the same GTID. */
export interface Identity {
  readonly gtid: string
  /** The identity of the server that it was read from. */
  readonly server: string
  /** When it was committed, ms since 1970; servers before MySQL 8 say whole seconds. */
  readonly at: number
  /** Its events and their bytes, as that server wrote them. */
  readonly events: number
  readonly bytes: number
}

/** A transaction of which a part was given. */
export interface Inside {
  readonly gtid: string
  /** How many of its row events were given. */
  readonly events: number
  /** The identity of the server that they were counted on. */
  readonly server: string
  /** Where it commits an XA branch: that branch, whose row events they are. */
  readonly branch?: string | undefined
}

/** An XA branch that is prepared: what becomes of its rows is not known yet. */
export interface OpenBranch {
  /** `gtrid:bqual:format`, hexadecimal. */
  readonly branch: string
  /** The transaction of its PREPARE. */
  readonly gtid: string
  /** When it was prepared, ms since 1970. */
  readonly at: number
}

/** `executed` may be the set or its canonical text, which is long to make where a set has many gaps. */
export function formatPosition(
  place: Omit<Place, 'executed'> & { readonly executed: GtidSet | string },
): Position {
  const { executed, inside, open, file, offset, server, last } = place
  const gtid = executed.toString()
  const xa = open === undefined || open.length === 0 ? undefined : open
  return JSON.stringify({ gtid, inside, xa, file, pos: offset, server, last }) as Position
}

/** Where in a server's files something is. */
export interface FilePlace {
  readonly file: string | undefined
  readonly offset: number | undefined
}

/** A position of transactions alone, with where they were read; made without reading its set, which may be long. */
export function withOrigin(
  position: Position,
  { server, last }: { readonly server: string; readonly last: Identity | undefined },
): Position {
  const origin = JSON.stringify({ server, last })
  return `${position.slice(0, -1)},${origin.slice(1)}` as Position
}

/** The same transactions, at another place in the files. */
export function withFile(position: Position, { file, offset }: FilePlace): Position {
  return formatPosition({ ...parsePosition(position), file, offset })
}

/** Throws a Failure ('corrupt') for what formatPosition did not make. */
export function parsePosition(position: Position): Place {
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = JSON.parse(position) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw new Failure('corrupt', `a position that is no JSON: ${position.slice(0, 120)}`, { cause })
  }
  const { gtid, inside, xa, file, pos, server, last } = fields
  if (typeof gtid !== 'string')
    throw new Failure('corrupt', `a position without gtid: ${position.slice(0, 120)}`)
  return {
    executed: parseGtidSet(gtid),
    ...(isInside(inside) ? { inside } : {}),
    ...(Array.isArray(xa) ? { open: xa.filter(isOpenBranch) } : {}),
    ...(typeof file === 'string' ? { file } : {}),
    ...(typeof pos === 'number' ? { offset: pos } : {}),
    ...(typeof server === 'string' ? { server } : {}),
    ...(isIdentity(last) ? { last } : {}),
  }
}

/**
 * Whether everything in `other` is in `position` too; a part of a transaction is in neither. The PREPARE of an XA branch
 * counts once it was read: until the branch commits, nobody who reads its tables sees its rows.
 */
export function covers(position: Position, other: Position): boolean {
  return containsAll(parsePosition(position).executed, parsePosition(other).executed)
}

/** For people. */
export function showPosition(position: Position): string {
  const { executed, inside, open = [], file, offset } = parsePosition(position)
  const part = inside === undefined ? '' : `, and ${inside.events} row events of ${inside.gtid}`
  const [oldest] = open.toSorted((a, b) => a.at - b.at)
  const since = oldest === undefined ? '' : `the oldest of ${new Date(oldest.at).toISOString()}`
  const waiting = oldest === undefined ? '' : `, and prepared XA transactions: ${open.length}, ${since}`
  const where = file === undefined ? '' : ` (${file}:${offset ?? 0})`
  return `${executed.isEmpty ? 'the beginning' : executed.toString()}${part}${waiting}${where}`
}

function isInside(value: unknown): value is Inside {
  if (typeof value !== 'object' || value === null) return false
  const { gtid, events, server, branch } = value as Readonly<Record<string, unknown>>
  const texts = [gtid, server, branch ?? ''].every((text) => typeof text === 'string')
  return texts && typeof events === 'number'
}

function isOpenBranch(value: unknown): value is OpenBranch {
  if (typeof value !== 'object' || value === null) return false
  const { branch, gtid, at } = value as Readonly<Record<string, unknown>>
  return typeof branch === 'string' && typeof gtid === 'string' && typeof at === 'number'
}

function isIdentity(value: unknown): value is Identity {
  if (typeof value !== 'object' || value === null) return false
  const { gtid, server, at, events, bytes } = value as Readonly<Record<string, unknown>>
  const texts = [gtid, server].every((text) => typeof text === 'string')
  return texts && [at, events, bytes].every((number) => typeof number === 'number')
}
