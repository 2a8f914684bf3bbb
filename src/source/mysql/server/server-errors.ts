/** What the server's errors, and those of the way to it, mean. */
import { AssertionError } from 'node:assert/strict'
import { Failure, type FailureKind } from '../../../change/failure.ts'

/** What is known of an error from mysql2 or from Node's network modules. */
interface Fault {
  readonly code?: string
  readonly errno?: number
  readonly message: string
}

/** An error as a Failure; a Failure stays what it is, a bug is thrown on. `attempt` says what was being done. */
export function failureOf(error: unknown, attempt: string): Failure {
  if (error instanceof Failure) return error
  if (isBug(error)) throw error
  const fault: Fault = error instanceof Error ? error : new Error(String(error))
  const { kind, remedy } = classify(fault)
  const message = `${attempt}: ${fault.message === '' ? (fault.code ?? 'no reason given') : fault.message}`
  return new Failure(kind, message, { cause: error, ...(remedy === undefined ? {} : { remedy }) })
}

function isBug(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError ||
    error instanceof AssertionError
  )
}

/** An error packet that the server sent instead of the binlog. */
export function dumpFailure(errno: number, text: string): Failure {
  const message = `the server refuses to stream its binlog: ${text} (error ${errno})`
  // MariaDB has a number of its own for two readers with one id.
  if (errno === 1236 || errno === 4052) {
    const found = binlogRefusals.find(({ pattern }) => pattern.test(text))
    const { kind = 'unsupported', remedy = lookAtServerLog } = found ?? {}
    return new Failure(kind, message, { remedy })
  }
  if (errno === 1227 || errno === 1045) {
    const remedy = "GRANT REPLICATION SLAVE ON *.* TO the source's user"
    return new Failure('unauthorised', message, { remedy })
  }
  return failureOf(Object.assign(new Error(message), { errno }), 'streaming the binlog')
}

type Verdict = { readonly kind: FailureKind; readonly remedy?: string }

const lookAtServerLog = "look into the server's error log at this time"
/** What mends every place that the server cannot go on from. */
export const readAnew =
  'load the pipelines of this source anew: run with --reload and the name of each; it goes on at the present'

/** Error 1236 says many things; its text is all that tells them apart. The first that fits counts. */
const binlogRefusals: readonly (Verdict & { readonly pattern: RegExp })[] = [
  {
    pattern: /same server_(uu)?id/i,
    kind: 'conflict',
    remedy: 'another reader uses the same serverId: give each its own in the configuration of its source',
  },
  {
    pattern: /purged|binlog files have been|GTID state requested|could not find (first|next) log/i,
    kind: 'lost',
    remedy: `${readAnew}; keep the binlog longer: binlog_expire_logs_seconds`,
  },
  {
    pattern:
      /does not have|more GTIDs than|not in the (master|source|primary)|missing the GTID|diverged|future/i,
    kind: 'lost',
    remedy: `the server lacks transactions that were read before (a restored backup, or a failover): ${readAnew}`,
  },
  {
    pattern: /GTID_MODE|AUTO_POSITION mode/i,
    kind: 'configuration',
    remedy: 'SET PERSIST gtid_mode = ON, step by step as millrace doctor says',
  },
  {
    pattern: /server_id was not set|server id/i,
    kind: 'configuration',
    remedy: 'SET PERSIST server_id = 1: any number above 0 that no other server has',
  },
  {
    pattern: /max_allowed_packet/i,
    kind: 'configuration',
    remedy: 'SET GLOBAL max_allowed_packet = 1073741824',
  },
  {
    pattern: /bogus|corrupt|checksum|read error|truncated|I\/O error/i,
    kind: 'corrupt',
    remedy: lookAtServerLog,
  },
  { pattern: /memory|network|net_write/i, kind: 'transient' },
  { pattern: /position|log file|index file/i, kind: 'lost', remedy: readAnew },
  { pattern: /binary log is not open/i, kind: 'unsupported', remedy: 'start the server with log_bin' },
]

function same(numbers: readonly number[], verdict: Verdict): (readonly [number, Verdict])[] {
  return numbers.map((errno) => [errno, verdict])
}

const byErrno: ReadonlyMap<number, Verdict> = new Map([
  ...same([1045, 1130, 1698], {
    kind: 'unauthorised',
    remedy:
      'check user and password of the source, that the server lets this user in from this host, and tls where the account asks for encryption',
  }),
  ...same([3118, 4151], { kind: 'unauthorised', remedy: "ALTER USER the source's user ACCOUNT UNLOCK" }),
  ...same([3955], {
    kind: 'unauthorised',
    remedy:
      'too many wrong passwords: correct the password of the source, then ALTER USER ... ACCOUNT UNLOCK',
  }),
  ...same([1820, 1862], {
    kind: 'unauthorised',
    remedy:
      "its password has expired: ALTER USER the source's user PASSWORD EXPIRE NEVER, or give it a new password, here and there",
  }),
  ...same([1044, 1142, 1143, 1227, 1370], {
    kind: 'unauthorised',
    remedy:
      "grant the source's user what the message names; it needs REPLICATION SLAVE, REPLICATION CLIENT and SELECT (millrace doctor lists what is missing)",
  }),
  ...same([1251, 1524], {
    kind: 'unauthorised',
    remedy: 'give the user caching_sha2_password or mysql_native_password',
  }),
  // Its account or the whole server lets nobody in without encryption.
  ...same([3159], {
    kind: 'configuration',
    remedy: 'set tls.mode of the source to required, verify-ca or verify',
  }),
  ...same([1040, 1135], {
    kind: 'overload',
    remedy: 'the server has no connection to spare: raise max_connections, or find who holds so many',
  }),
  ...same([1203, 1226], {
    kind: 'overload',
    remedy: "raise the limits of the source's user: ALTER USER ... WITH MAX_USER_CONNECTIONS 0",
  }),
  ...same([1129], { kind: 'transient', remedy: 'the server has blocked this host: FLUSH HOSTS' }),
  // Server shutdown, aborted or killed connection, lock wait, deadlock, interrupted, timed out, lost, idle too long.
  ...same(
    [
      1053, 1077, 1080, 1152, 1158, 1159, 1160, 1161, 1205, 1213, 1317, 1927, 1969, 2006, 2013, 3024, 3168,
      4031,
    ],
    { kind: 'transient' },
  ),
])

/** Whether a statement named a column, table, database or index that is not there, or a table other than its snapshot's. */
export function isUnknownName(error: unknown): boolean {
  return unknownNames.has(errnoOf(error))
}

const unknownNames: ReadonlySet<number> = new Set([1049, 1054, 1146, 1176, 1412])

/** The server's number of what a Failure was caused by; 0 = it was something else. */
export function errnoOf(error: unknown): number {
  const { cause } = error instanceof Failure ? error : {}
  return cause instanceof Error && 'errno' in cause ? Number(cause.errno) : 0
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
])

function classify(fault: Fault): Verdict {
  const known = fault.errno === undefined ? undefined : byErrno.get(fault.errno)
  if (known !== undefined) return known
  const code = fault.code ?? ''
  if (networkCodes.has(code) || /ECONNRESET|socket disconnected|socket hang up/.test(fault.message))
    return { kind: 'transient' }
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT')
    return {
      kind: 'configuration',
      remedy: 'the server speaks no TLS: switch it on there, or set tls.mode of the source to off',
    }
  if (code === 'HANDSHAKE_SSL_ERROR' || /^ERR_(TLS|SSL)|CERT|SELF_SIGNED|UNABLE_TO/.test(code))
    return {
      kind: 'configuration',
      remedy:
        "check tls of the source: ca must be the authority of the server's certificate, which for mode verify must bear the host's name, too",
    }
  // A connection that was closed between two of our queries reports only this.
  if (/closed state|connection.*(closed|lost)|ETIMEDOUT/i.test(fault.message)) return { kind: 'transient' }
  return { kind: 'unsupported', remedy: 'the source refuses this statement: see its message' }
}
