/** What the errors of the server that keeps small state mean, and of the way to it. */
import { Failure, type FailureKind } from '../../change/failure.ts'

interface Place {
  readonly host: string
  readonly user: string
  readonly schema: string
}

/** An error as a Failure; a Failure stays what it is, a bug is thrown on. `attempt` says what was being done. */
export function storeFailure(error: unknown, attempt: string, place: Place): unknown {
  if (error instanceof Failure) return error
  const fault = error as { readonly code?: string; readonly errno?: number; readonly message?: string }
  const code = fault.code ?? ''
  const verdict = isAnswered(error) ? verdicts(place)[code] : unanswered(code)
  if (verdict === undefined) return error
  const { kind, remedy } = verdict
  return new Failure(kind, `${attempt}: ${fault.message ?? code}`, {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
  })
}

/** Whether the server itself told the error: the connection is sound. */
export function isAnswered(error: unknown): boolean {
  return error instanceof Error && 'sqlState' in error && !fatal.has((error as { code?: string }).code ?? '')
}

export function isDuplicate(error: unknown): boolean {
  return (error as { readonly code?: string }).code === 'ER_DUP_ENTRY'
}

export function isMissingTable(error: unknown): boolean {
  return (error as { readonly code?: string }).code === 'ER_NO_SUCH_TABLE'
}

/** The server tells these and hangs up. */
const fatal = new Set(['ER_SERVER_SHUTDOWN', 'ER_CON_COUNT_ERROR', 'ER_CLIENT_INTERACTION_TIMEOUT'])

type Verdict = { readonly kind: FailureKind; readonly remedy?: string }

/** Errors of the network, of TLS, and of a server that is leaving. */
function unanswered(code: string): Verdict | undefined {
  if (code === 'HANDSHAKE_SSL_ERROR' || code === 'HANDSHAKE_NO_SSL_SUPPORT' || code.startsWith('ERR_TLS')) {
    return { kind: 'configuration', remedy: 'correct store.tls, or give the server a certificate' }
  }
  if (code === 'ENOTFOUND') return { kind: 'transient', remedy: 'check the host in store.url' }
  const isNetwork = /^(E[A-Z]+|PROTOCOL_[A-Z_]+|POOL_[A-Z_]+)$/.test(code) || fatal.has(code)
  return isNetwork ? { kind: 'transient', remedy: 'see whether the server of store.url runs' } : undefined
}

const transient: Verdict = { kind: 'transient' }

function verdicts({ user, schema }: Place): Readonly<Record<string, Verdict>> {
  const rights = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER'
  const grant: Verdict = {
    kind: 'unauthorised',
    remedy: `GRANT ${rights} ON \`${schema}\`.* TO '${user}'@'%'`,
  }
  return {
    ER_ACCESS_DENIED_ERROR: { kind: 'unauthorised', remedy: 'correct user and password in store.url' },
    ER_DBACCESS_DENIED_ERROR: grant,
    ER_TABLEACCESS_DENIED_ERROR: grant,
    ER_COLUMNACCESS_DENIED_ERROR: grant,
    ER_SPECIFIC_ACCESS_DENIED_ERROR: grant,
    ER_HOST_NOT_PRIVILEGED: { kind: 'unauthorised', remedy: 'let the user connect from this host' },
    ER_BAD_DB_ERROR: { kind: 'configuration', remedy: `CREATE DATABASE \`${schema}\` CHARACTER SET utf8mb4` },
    ER_NO_DB_ERROR: {
      kind: 'configuration',
      remedy: 'name a schema in store.url: mysql://user:password@host:3306/millrace',
    },
    ER_NO_SUCH_TABLE: {
      kind: 'lost',
      remedy: "the store's tables were dropped while it was used: restore them, or start again to make them",
    },
    ER_NET_PACKET_TOO_LARGE: { kind: 'configuration', remedy: 'SET GLOBAL max_allowed_packet = 67108864' },
    ER_OPTION_PREVENTS_STATEMENT: {
      kind: 'transient',
      remedy: 'the server is read only: name the primary in store.url',
    },
    ER_READ_ONLY_MODE: transient,
    ER_RECORD_FILE_FULL: { kind: 'full', remedy: "free space on the store server's disk" },
    ER_DISK_FULL: { kind: 'full', remedy: "free space on the store server's disk" },
    ER_LOCK_DEADLOCK: transient,
    ER_LOCK_WAIT_TIMEOUT: transient,
    ER_QUERY_INTERRUPTED: transient,
    ER_USER_LIMIT_REACHED: { kind: 'overload', remedy: `raise the limits of '${user}'` },
    ER_TOO_MANY_USER_CONNECTIONS: { kind: 'overload', remedy: `raise the limits of '${user}'` },
  }
}
