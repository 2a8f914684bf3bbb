/**
 * Global transaction ids and sets of them, in the two dialects:
 *
 *   MySQL    3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:tag:1-3   intervals per server uuid, and per tag of 8.3 and later
 *   MariaDB  0-1-270,5-2-18                                        per domain the last id; all before it are in the set
 */
import { Failure } from '../../../change/failure.ts'

export type Flavor = 'mysql' | 'mariadb'

/** One transaction. */
export interface Gtid {
  /** MySQL: the uuid, with `:tag` where it has one. MariaDB: the domain. Numbers count within an origin. */
  readonly origin: string
  readonly number: number
  /** MariaDB: the id of the server that wrote it, part of its name only. MySQL: 0. */
  readonly server: number
}

export interface GtidSet {
  readonly flavor: Flavor
  readonly isEmpty: boolean
  add(gtid: Gtid): void
  has(gtid: Gtid): boolean
  /** Whether all of `other` is in this set. */
  contains(other: GtidSet): boolean
  /** The members of this set that are not in `other`, as text for people; empty = none. */
  missingFrom(other: GtidSet): string
  copy(): GtidSet
  /** The canonical text, which `parseGtidSet` reads. */
  toString(): string
}

export function showGtid(gtid: Gtid, flavor: Flavor): string {
  return flavor === 'mysql' ? `${gtid.origin}:${gtid.number}` : `${gtid.origin}-${gtid.server}-${gtid.number}`
}

/** A set made from the wrong part. */
export function notAGtidSet(text: string, part: string, expected: string): Failure {
  const shown = part.length > 80 ? `${part.slice(0, 80)}…` : part
  const where = part === text.trim() ? '' : ` in "${text.length > 120 ? `${text.slice(0, 120)}…` : text}"`
  return new Failure('configuration', `"${shown}"${where} is not a GTID set: ${expected}`, {
    remedy: 'write a set as SELECT @@global.gtid_executed (MariaDB: @@global.gtid_binlog_pos) shows it',
  })
}
