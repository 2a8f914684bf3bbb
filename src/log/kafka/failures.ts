/** What brokers refuse, in our words: each way it can be wrong has its remedy. */
import { Failure, type FailureKind } from '../../change/failure.ts'
import { refusedTopics } from './refused-topics.ts'

/** A Failure that still says which errors of the protocol it comes from. */
class BrokerFailure extends Failure {
  readonly codes: ReadonlySet<string>

  constructor(
    kind: FailureKind,
    message: string,
    detail: {
      readonly codes: ReadonlySet<string>
      readonly remedy: string | undefined
      readonly cause: unknown
    },
  ) {
    const { remedy, cause } = detail
    super(kind, message, { cause, ...(remedy === undefined ? {} : { remedy }) })
    this.name = 'BrokerFailure'
    this.codes = detail.codes
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof BrokerFailure && codes.some((code) => error.codes.has(code))
}

/** As where a broker says so. */
export function withoutLeader(partition: string): Failure {
  return new BrokerFailure('transient', `the partition ${partition} has no leader at present`, {
    codes: new Set(['LEADER_NOT_AVAILABLE']),
    remedy: 'bring its brokers back',
    cause: undefined,
  })
}

interface Meaning {
  readonly codes: readonly string[]
  readonly kind: FailureKind
  readonly remedy: string
}

/** The first that fits. */
const meanings: readonly Meaning[] = [
  {
    codes: ['TOPIC_AUTHORIZATION_FAILED'],
    kind: 'unauthorised',
    remedy:
      'let the user CREATE, DESCRIBE, DESCRIBE_CONFIGS, READ and WRITE every topic that begins with log.kafka.prefix',
  },
  {
    codes: ['GROUP_AUTHORIZATION_FAILED'],
    kind: 'unauthorised',
    remedy: 'let the user READ and DESCRIBE every consumer group that begins with log.kafka.prefix',
  },
  {
    codes: ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
    kind: 'unauthorised',
    remedy: 'let the user WRITE and DESCRIBE every transactional id that begins with log.kafka.prefix',
  },
  {
    codes: ['CLUSTER_AUTHORIZATION_FAILED'],
    kind: 'unauthorised',
    remedy: 'let the user CREATE topics (and IDEMPOTENT_WRITE on the cluster), or make the topics beforehand',
  },
  {
    codes: ['UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE'],
    kind: 'configuration',
    remedy:
      'set log.kafka.sasl.mechanism to one that the listener offers, and log.kafka.tls.mode as it needs',
  },
  {
    codes: ['SASL_AUTHENTICATION_FAILED', 'PLT_KFK_AUTHENTICATION'],
    kind: 'unauthorised',
    remedy: 'correct log.kafka.sasl: mechanism, username and password',
  },
  {
    codes: [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_HAS_EXPIRED',
      'CERT_NOT_YET_VALID',
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    kind: 'unauthorised',
    remedy:
      "set log.kafka.tls.ca to the authority that signed the brokers' certificates, and name the brokers as their certificates do",
  },
  {
    codes: ['INVALID_SESSION_TIMEOUT'],
    kind: 'configuration',
    remedy:
      'set log.kafka.sessionSeconds between the bounds of the brokers: group.min.session.timeout.ms and group.max.session.timeout.ms',
  },
  {
    codes: ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'],
    kind: 'configuration',
    remedy:
      'raise max.message.bytes of the topic and log.kafka.messageMb; the change is kept in the source until then',
  },
  {
    codes: ['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'],
    kind: 'transient',
    remedy: 'bring the brokers back that hold replicas, or lower min.insync.replicas of the topics',
  },
  {
    // Who comes after an append that too few replicas took waits for its end, which they cannot write down either.
    codes: ['REQUEST_TIMED_OUT', 'CONCURRENT_TRANSACTIONS'],
    kind: 'transient',
    remedy:
      'brokers wait for replicas: where it lasts, bring the brokers back that hold them, or lower min.insync.replicas of the topics',
  },
  {
    codes: ['INVALID_REPLICATION_FACTOR'],
    kind: 'configuration',
    remedy: 'set log.kafka.replication to at most the number of brokers',
  },
  {
    codes: ['POLICY_VIOLATION', 'INVALID_CONFIG'],
    kind: 'configuration',
    remedy:
      'the cluster does not let us make topics as we need them: make them beforehand, as the README says',
  },
  {
    codes: ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING'],
    kind: 'conflict',
    remedy:
      'another millrace captures this source into the same topics: stop one, or give it a log.kafka.prefix of its own; or `millrace log switch` is at work, and says where the log goes on',
  },
  {
    codes: ['UNKNOWN_TOPIC_ID', 'INCONSISTENT_TOPIC_ID', 'UNKNOWN_TOPIC_OR_PARTITION'],
    kind: 'transient',
    remedy:
      'a topic of the log is missing; where it was deleted, capture makes it anew and names what was lost',
  },
  {
    codes: ['UNSUPPORTED_VERSION', 'PLT_KFK_UNSUPPORTED_API'],
    kind: 'configuration',
    remedy: 'the log needs brokers of release 3.7 or newer',
  },
  {
    // Of all that the library calls a mistake of the user, what reaches us is TLS where there is none, and the reverse.
    codes: ['PLT_KFK_USER'],
    kind: 'transient',
    remedy:
      'set log.kafka.tls.mode to what the listener wants: off, or one of required, verify-ca and verify',
  },
  {
    codes: ['PLT_KFK_NETWORK'],
    kind: 'transient',
    remedy:
      'see that the brokers run, and that log.kafka.brokers, log.kafka.tls and log.kafka.sasl are those of one listener',
  },
]

/** What a library error means; `doing` says what it stopped. A Failure stays as it is. */
export function brokerFailure(error: unknown, doing: string): unknown {
  if (error instanceof Failure || !(error instanceof Error)) return error
  if (!isOperational(error)) return error
  const codes = new Set<string>()
  const texts: string[] = []
  gather(error, codes, texts)
  const meaning = meanings.find((each) => each.codes.some((code) => codes.has(code)))
  const why = texts.length === 0 ? error.message : [...new Set(texts)].join('; ')
  const topics = refusedTopics((error as { readonly response?: unknown }).response)
  const which = topics.length === 0 ? '' : ` [${topics.join(', ')}]`
  return new BrokerFailure(meaning?.kind ?? 'transient', `${doing}: ${why}${which}`, {
    codes,
    remedy: meaning?.remedy,
    cause: error,
  })
}

function isOperational(error: Error): boolean {
  const { code } = error as Error & { readonly code?: unknown }
  return typeof code === 'string'
}

interface Told extends Error {
  readonly code?: unknown
  readonly apiId?: unknown
  readonly serverErrorMessage?: unknown
  readonly errors?: readonly unknown[]
}

/** Codes of the error and all that it is made of; texts of the innermost. */
function gather(error: Told, codes: Set<string>, texts: string[]): void {
  for (const code of [error.code, error.apiId]) if (typeof code === 'string') codes.add(code)
  const inner = [...(error.errors ?? []), error.cause].filter((each) => each instanceof Error)
  for (const each of inner) gather(each, codes, texts)
  if (inner.length > 0) return
  const { serverErrorMessage: told } = error
  const said = typeof told === 'string' && told !== '' ? ` (${told})` : ''
  texts.push(`${typeof error.apiId === 'string' ? `${error.apiId}: ` : ''}${error.message}${said}`)
}
