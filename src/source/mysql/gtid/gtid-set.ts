/** GTID sets of either flavor from their text. See gtid.ts. */
import type { Flavor, GtidSet } from './gtid.ts'
import { MariadbGtidSet } from './mariadb-gtid-set.ts'
import { MysqlGtidSet } from './mysql-gtid-set.ts'

/**
 * A set from its text; white space is ignored. Where the flavor is not given it is seen from the text, and an empty one
 * is MySQL's. Throws a Failure ('configuration') that names the part that is wrong.
 */
export function parseGtidSet(text: string, flavor: Flavor = flavorOf(text)): GtidSet {
  return flavor === 'mysql' ? MysqlGtidSet.parse(text) : MariadbGtidSet.parse(text)
}

/** Whether everything in `part` is in `whole` too; an empty set is in every set, whatever its flavor. */
export function containsAll(whole: GtidSet, part: GtidSet): boolean {
  if (part.isEmpty) return true
  return whole.flavor === part.flavor && whole.contains(part)
}

function flavorOf(text: string): Flavor {
  return /^\s*\d+-\d+-\d+\s*(,|$)/.test(text) ? 'mariadb' : 'mysql'
}
