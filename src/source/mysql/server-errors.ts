/** What the server's errors, and those of the way to it, mean. */
import { AssertionError } from 'node:assert/strict'
import { Failure, type FailureKind } from '../../change/failure.ts'

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
    return new Failure(found?.kind ?? 'unsupported', message, { remedy: found?.remedy ?? lookAtServerLog })
  }
  if (errno === 1227 || errno === 1045) {
    const remedy = "GRANT REPLICATION SLAVE ON *.* TO the source's user"
    return new Failure('unauthorised', message, { remedy })
  }
  return failureOf(Object.assign(new Error(message), { errno }), 'streaming the binlog')
}

type Verdict = { readonly kind: FailureKind; readonly remedy?: string }

const lookAtServerLog = "look into the server's error log at this time"
const reload = 'load the pipelines of this source anew: what the server no longer has cannot be streamed'

/** Error 1236 says many things; its text is all that tells them apart. The first that fits counts. */
const binlogRefusals: readonly (Verdict & { readonly pattern: RegExp; readonly remedy: string })[] = [
  {
    pattern: /same server_(uu)?id/i,
    kind: 'conflict',
    remedy: 'another reader uses the same serverId: give each its own in the configuration of its source',
  },
  {
    pattern: /purged|binlog files have been|GTID state requested|could not find first log/i,
    kind: 'lost',
    remedy: reload,
  },
  {
    pattern:
      /does not have|more GTIDs than|not in the (master|source|primary)|missing the GTID|diverged|future/i,
    kind: 'lost',
    remedy:
      'the server lacks transactions that were read before (a restored backup, or a failover): load anew',
  },
  { pattern: /position|log file|index file/i, kind: 'lost', remedy: reload },
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
  { pattern: /binary log is not open/i, kind: 'unsupported', remedy: 'start the server with log_bin' },
]

const accessRemedy =
  'check user and password of the source, and that the server lets this user in from this host'

const byErrno: ReadonlyMap<number, Verdict> = new Map<number, Verdict>([
  ...[1045, 1130, 1698, 1862, 1820, 3118, 3955].map((errno): [number, Verdict] => [
    errno,
    { kind: 'unauthorised', remedy: accessRemedy },
  ]),
  ...[1044, 1142, 1143, 1227, 1370].map((errno): [number, Verdict] => [
    errno,
    { kind: 'unauthorised', remedy: "grant the source's user what the message names" },
  ]),
  ...[1251, 1524].map((errno): [number, Verdict] => [
    errno,
    { kind: 'unauthorised', remedy: 'give the user caching_sha2_password or mysql_native_password' },
  ]),
  // Too many connections, out of threads, user's limit.
  ...[1040, 1135, 1203, 1226].map((errno): [number, Verdict] => [errno, { kind: 'overload' }]),
  // Server shutdown, aborted or killed connection, lock wait, deadlock, interrupted, timed out, host blocked, lost.
  ...[
    1053, 1077, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1205, 1213, 1317, 1927, 2006, 2013, 3024, 3168,
    4031,
  ].map((errno): [number, Verdict] => [errno, { kind: 'transient' }]),
])

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
    return { kind: 'configuration', remedy: 'switch TLS on at the server, or remove tls from the source' }
  if (code === 'HANDSHAKE_SSL_ERROR' || /^ERR_(TLS|SSL)|CERT|SELF_SIGNED|UNABLE_TO/.test(code))
    return {
      kind: 'configuration',
      remedy: "check tls of the source: ca must be the authority of the server's certificate",
    }
  // A connection that was closed between two of our queries reports only this.
  if (/closed state|connection.*(closed|lost)|ETIMEDOUT/i.test(fault.message)) return { kind: 'transient' }
  return { kind: 'unsupported', remedy: 'the source refuses this statement: see its message' }
}
