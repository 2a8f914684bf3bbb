/** Whether a server can go on from where we are; and where it cannot, what has become of its history. */
import { Divergence, Failure } from '../../../change/failure.ts'
import { query, type Connection } from './connection.ts'
import { containsAll } from '../gtid/gtid-set.ts'
import type { Gtid, GtidSet } from '../gtid/gtid.ts'
import { MariadbGtidSet } from '../gtid/mariadb-gtid-set.ts'
import { MysqlGtidSet } from '../gtid/mysql-gtid-set.ts'
import { formatPosition, parsePosition, type OpenBranch, type Place } from '../gtid/position.ts'
import { readAnew } from './server-errors.ts'
import {
  fileNumber,
  isReplica,
  readBinlogFiles,
  readExecuted,
  readPurged,
  replicates,
  type ServerFacts,
} from './server-facts.ts'

export type Verdict =
  /** `comparesLast`: it can send the last transaction again, to be compared; `open`: and the PREPAREs of these. */
  | {
      readonly kind: 'continues'
      readonly executed: GtidSet
      readonly comparesLast: boolean
      readonly open: readonly OpenBranch[]
    }
  /** It may still get what it lacks. `failure` is what it means if it does not. */
  | { readonly kind: 'lacks'; readonly lacking: string; readonly failure: Failure }
  | { readonly kind: 'lost'; readonly failure: Failure }

export interface Session {
  readonly connection: Connection
  readonly facts: ServerFacts
}

/** A failover loses seconds. A server that lacks more than so many transactions was set back by a person. */
const undoneMax = 100_000

/** `place` is in the words of the server's flavor. */
export async function judge(session: Session, place: Place): Promise<Verdict> {
  const { flavor } = session.facts
  const executed = await readExecuted(session.connection, flavor)
  const common = await commonWith(session, place, executed)
  if (common.lacking !== '') {
    const failure = await meaningOf(session, place, { ...common, executed })
    return { kind: 'lacks', lacking: shorten(common.lacking), failure }
  }
  const purged = await readPurged(session.connection, flavor)
  // MariaDB answers this itself when the dump begins: its domains may have been begun at different times.
  const gone = flavor === 'mariadb' ? '' : purged.missingFrom(place.executed)
  if (gone === '') {
    // The rows of a branch whose PREPARE is gone are read from its tables, if it commits.
    const open = (place.open ?? []).filter(({ gtid }) => !purged.has(gtidOf(gtid)))
    return { kind: 'continues', executed, comparesLast: !hasLast(purged, place), open }
  }
  const failure = new Failure(
    'lost',
    `the server has purged transactions that were not read yet: ${shorten(gone)}`,
    {
      remedy: `${readAnew}; and keep the binlog longer: binlog_expire_logs_seconds`,
    },
  )
  return { kind: 'lost', failure }
}

/**
 * Whether the server's files were set back, which tells what its numbers do not. A server that lost its last transactions
 * in a crash has begun another file since; one whose newest file is none after ours was reset, or its files were restored.
 */
export async function wasSetBack({ connection, facts }: Session, place: Place): Promise<boolean> {
  if (place.server !== facts.identity || place.file === undefined) return false
  const newest = (await readBinlogFiles(connection)).at(-1)
  return newest !== undefined && fileNumber(newest.name) <= fileNumber(place.file)
}

export function setBackFailure(what: string): Failure {
  const why = 'its binlog was reset (RESET BINARY LOGS AND GTIDS), or its files were restored from a backup'
  return new Failure('lost', `${what}: ${why}`, { remedy: readAnew })
}

interface Common {
  /** What we have and the server lacks, for people; empty = nothing. */
  readonly lacking: string
  /** What both have; undefined = nothing, or it cannot be told. */
  readonly set: GtidSet | undefined
  readonly lackingCount: number
}

async function commonWith(session: Session, place: Place, executed: GtidSet): Promise<Common> {
  if (place.executed instanceof MysqlGtidSet && executed instanceof MysqlGtidSet) {
    const lacking = place.executed.subtract(executed)
    const set = place.executed.subtract(lacking)
    const common = {
      lacking: lacking.toString(),
      set: set.isEmpty ? undefined : set,
      lackingCount: lacking.size,
    }
    return withPart(common, place, (gtid) => executed.has(gtid))
  }
  const state = await readBinlogState(session.connection)
  const isInState = ({ origin, server, number }: Gtid) => (state.get(`${origin}-${server}`) ?? -1) >= number
  return withPart(commonInState(place.executed, state), place, isInState)
}

/** A transaction of which a part was given is lacking too where the server does not have it. */
function withPart(common: Common, { inside }: Place, has: (gtid: Gtid) => boolean): Common {
  if (inside === undefined || has(gtidOf(inside.gtid))) return common
  const lacking = common.lacking === '' ? inside.gtid : `${common.lacking},${inside.gtid}`
  return { ...common, lacking, lackingCount: common.lackingCount + 1 }
}

/** The last number of each server in each domain, of all that a MariaDB server has in its binlog or once had there. */
type BinlogState = ReadonlyMap<string, number>

async function readBinlogState(connection: Connection): Promise<BinlogState> {
  const sql = 'SELECT @@global.gtid_binlog_state AS state'
  const [row] = await query(connection, sql, [], "reading the binlog's state")
  const texts = String(row?.['state'] ?? '').split(',')
  return new Map(
    texts.map((text) => text.trim().split('-')).map(([d, s, n]) => [`${d}-${s}`, Number(n)] as const),
  )
}

/** A domain that went on under another server is common up to the last number of the server that we read there. */
function commonInState(ours: GtidSet, state: BinlogState): Common {
  const lacking: string[] = []
  const common = new MariadbGtidSet()
  let lackingCount = 0
  let isKnown = true
  const last = ours instanceof MariadbGtidSet ? ours.last : []
  for (const gtid of last) {
    const reached = state.get(`${gtid.origin}-${gtid.server}`)
    if (reached !== undefined && reached >= gtid.number) common.add(gtid)
    else {
      lacking.push(`${gtid.origin}-${gtid.server}-${gtid.number}`)
      lackingCount += gtid.number - (reached ?? 0)
      if (reached === undefined) isKnown = false
      else common.add({ ...gtid, number: reached })
    }
  }
  return { lacking: lacking.join(','), set: isKnown && !common.isEmpty ? common : undefined, lackingCount }
}

/** What it means that a server lacks what we have, once it has had the time to get it. */
async function meaningOf(
  session: Session,
  place: Place,
  { lacking, set, lackingCount, executed }: Common & { readonly executed: GtidSet },
): Promise<Failure> {
  const { connection, facts } = session
  const what = `the server does not have transactions that were read before: ${shorten(lacking)}`
  if (isReplica(facts) || (await replicates(connection)) === true)
    return new Failure('transient', `${what}; it is a replica, and may get them`, {
      remedy: 'see why it does not follow (SHOW REPLICA STATUS); what it misses is lost only where it leads',
    })
  if (await wasSetBack(session, place)) return setBackFailure(what)
  if (set === undefined) {
    if (place.server === facts.identity && executed.isEmpty) return setBackFailure(what)
    return new Failure('lost', `${what}; nothing that was read is in its history`, {
      remedy: `see that the source names the right server: this one was set up anew, or is another one. If it is the right one, ${readAnew}`,
    })
  }
  const purged = await readPurged(connection, facts.flavor)
  if (!set.contains(purged) || purged.contains(set) || lackingCount > undoneMax)
    return new Failure(
      'lost',
      `${what}; it was restored from an older backup, or stopped following long ago`,
      {
        remedy: `see that the source names the right server; if it is, ${readAnew}`,
      },
    )
  const open = place.open?.filter(({ gtid }) => set.has(gtidOf(gtid)))
  return new Divergence(what, {
    resume: formatPosition({ executed: set, open }),
    undone: lacking,
    undoes: (position) => {
      const { executed: given, inside } = parsePosition(position)
      return !containsAll(set, given) || (inside !== undefined && !set.has(gtidOf(inside.gtid)))
    },
  })
}

/** Whether the last transaction that was read is in the set; then it cannot be sent again. */
function hasLast(purged: GtidSet, { last }: Place): boolean {
  return last === undefined || purged.has(gtidOf(last.gtid))
}

/**
 * What the server is told that we have: all but what it is to send again, which are the PREPAREs of the open branches and,
 * where it is compared, the last transaction. MariaDB then sends again all that followed them in their domains.
 */
export function setToAskFrom(place: Place, comparesLast: boolean): GtidSet {
  let set = comparesLast ? withoutLast(place) : place.executed
  for (const { gtid } of place.open ?? []) {
    if (set instanceof MysqlGtidSet) set = set.without(gtidOf(gtid))
    else if (set instanceof MariadbGtidSet) set = set.before(gtidOf(gtid))
  }
  return set
}

function withoutLast({ executed, last }: Place): GtidSet {
  if (last === undefined) return executed
  const gtid = gtidOf(last.gtid)
  if (executed instanceof MysqlGtidSet) return executed.without(gtid)
  return executed instanceof MariadbGtidSet ? executed.without(gtid) : executed
}

/** `uuid:7`, `uuid:tag:7` or `0-1-7`. */
function gtidOf(name: string): Gtid {
  const colon = name.lastIndexOf(':')
  if (colon >= 0) return { origin: name.slice(0, colon), server: 0, number: Number(name.slice(colon + 1)) }
  const [domain = '', server, number] = name.split('-')
  return { origin: domain, server: Number(server), number: Number(number) }
}

function shorten(set: string): string {
  return set.length > 300 ? `${set.slice(0, 297)}...` : set
}
