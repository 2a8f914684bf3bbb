/**
 * A place in the stream, as one short text that others keep without reading it:
 *
 *   {"gtid": executed set, "inside": {"gtid", "events", "server"}, "file", "pos", "server", "last": {"gtid", "at", ...}}
 *
 * `inside` is there within a transaction: so many of its row events were given. They count only on the server that wrote
 * them down so; another one may have cut the same rows into other events, and there the transaction is given again
 * whole. Events are counted rather than rows, because they do not depend on which tables are captured. `file` and `pos`
 * are for people and never compared: positions in files wrap, and start anew on another server. `server` is the one that
 * was read, `last` tells the last whole transaction from another one that bears the same number.
 */
import type { Position } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { containsAll, parseGtidSet } from './gtid-set.ts'
import type { GtidSet } from './gtid.ts'

export interface Place {
  /** The transactions that were given whole. */
  readonly executed: GtidSet
  readonly inside?: Inside | undefined
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
}

/** `executed` may be the set or its canonical text, which is long to make where a set has many gaps. */
export function formatPosition(
  place: Omit<Place, 'executed'> & { readonly executed: GtidSet | string },
): Position {
  const { executed, inside, file, offset, server, last } = place
  const gtid = executed.toString()
  return JSON.stringify({ gtid, inside, file, pos: offset, server, last }) as Position
}

/** A position of transactions alone, with where they were read; made without reading its set, which may be long. */
export function withOrigin(
  position: Position,
  { server, last }: { readonly server: string; readonly last: Identity | undefined },
): Position {
  const origin = JSON.stringify({ server, last })
  return `${position.slice(0, -1)},${origin.slice(1)}` as Position
}

/** Throws a Failure ('corrupt') for what formatPosition did not make. */
export function parsePosition(position: Position): Place {
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = JSON.parse(position) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw new Failure('corrupt', `a position that is no JSON: ${position.slice(0, 120)}`, { cause })
  }
  const { gtid, inside, file, pos, server, last } = fields
  if (typeof gtid !== 'string')
    throw new Failure('corrupt', `a position without gtid: ${position.slice(0, 120)}`)
  return {
    executed: parseGtidSet(gtid),
    ...(isInside(inside) ? { inside } : {}),
    ...(typeof file === 'string' ? { file } : {}),
    ...(typeof pos === 'number' ? { offset: pos } : {}),
    ...(typeof server === 'string' ? { server } : {}),
    ...(isIdentity(last) ? { last } : {}),
  }
}

/** Whether everything in `other` is in `position` too; a part of a transaction is in neither. */
export function covers(position: Position, other: Position): boolean {
  return containsAll(parsePosition(position).executed, parsePosition(other).executed)
}

/** For people. */
export function showPosition(position: Position): string {
  const { executed, inside, file, offset } = parsePosition(position)
  const part = inside === undefined ? '' : `, and ${inside.events} row events of ${inside.gtid}`
  const where = file === undefined ? '' : ` (${file}:${offset ?? 0})`
  return `${executed.isEmpty ? 'the beginning' : executed.toString()}${part}${where}`
}

function isInside(value: unknown): value is Inside {
  if (typeof value !== 'object' || value === null) return false
  const { gtid, events, server } = value as Readonly<Record<string, unknown>>
  return typeof gtid === 'string' && typeof events === 'number' && typeof server === 'string'
}

function isIdentity(value: unknown): value is Identity {
  if (typeof value !== 'object' || value === null) return false
  const { gtid, server, at, events, bytes } = value as Readonly<Record<string, unknown>>
  const texts = [gtid, server].every((text) => typeof text === 'string')
  return texts && [at, events, bytes].every((number) => typeof number === 'number')
}
