/**
 * The servers of one source, all of one topology: which of them can go on from where we are, and which of those is taken.
 * Each round asks all of them at once; none is waited for once another one will do.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Divergence, Failure } from '../../../change/failure.ts'
import type { ServerHealth, TellServers } from '../../source.ts'
import { connect, hangUp, serverAddress, type Connection, type MysqlSettings } from './connection.ts'
import { judge, type Verdict } from './continuity.ts'
import { containsAll } from '../gtid/gtid-set.ts'
import type { GtidSet } from '../gtid/gtid.ts'
import type { Place } from '../gtid/position.ts'
import {
  isReplica,
  readServerFacts,
  refuseServer,
  refuseUnlogged,
  replicates,
  type ServerFacts,
} from './server-facts.ts'

export interface Server {
  /** `host:port`. */
  readonly address: string
  readonly settings: MysqlSettings
}

/** A server that can go on, and the open connection to it. */
export interface Chosen {
  readonly server: Server
  readonly connection: Connection
  readonly facts: ServerFacts
  /** The place in the words of its flavor. */
  readonly place: Place
  /** What it had executed when it was asked. */
  readonly executed: GtidSet
  readonly comparesLast: boolean
  /** A replica that does not follow: nothing new comes from it. */
  readonly isStalled: boolean
}

interface Answer {
  readonly server: Server
  readonly facts: ServerFacts | undefined
  readonly verdict: Verdict
  /** Only of one that continues. */
  readonly chosen: Chosen | undefined
}

/** How long a server that would be preferred may still come after another one that would do. */
const preferredWaitMs = 1_000
/** So long one of the preferred kind may take to have what we have. */
const preferredLacksMs = 3_000
const askAgainMs = 200

export class Servers {
  readonly #all: readonly Server[]
  readonly #prefer: 'any' | 'primary' | 'replica'
  readonly #tell: TellServers
  readonly #placeOn: PlaceOn
  readonly #health = new Map<string, ServerHealth>()
  /** What each had executed when it was looked at before. */
  #before: ReadonlyMap<string, GtidSet> = new Map()
  /** Addresses of servers that lacked, at the last look, what another one had at the look before. */
  #stale: ReadonlySet<string> = new Set()
  #told = ''
  /** Address of the one that was chosen last; undefined = the place says which was read. */
  #kept: string | undefined

  /** `placeOn` says a place in the words of a server, or throws. */
  constructor(settings: MysqlSettings, placeOn: PlaceOn, tell: TellServers) {
    this.#all = serversOf(settings)
    this.#prefer = settings.prefer ?? 'any'
    this.#placeOn = placeOn
    this.#tell = tell
  }

  get all(): readonly Server[] {
    return this.#all
  }

  /** Whether there is more than one to choose from. */
  get areSeveral(): boolean {
    return this.#all.length > 1
  }

  /** What is being done while `choose` lasts, for people. */
  get asking(): string {
    const addresses = this.#all.map(({ address }) => address).join(' and ')
    return `asking ${addresses} whether the binlog can be read on from here`
  }

  /**
   * One that can go on from the place. Throws a Failure when none can now: CatchingUp while one may still get what it
   * lacks, else what is wrong with them.
   */
  async choose(place: Place, signal: AbortSignal): Promise<Chosen> {
    const answers = await this.#askAll(place, signal)
    const able = answers
      .flatMap(({ chosen }) => chosen ?? [])
      .toSorted((a, b) => this.#rank(a) - this.#rank(b))
    const [best, ...others] = able
    for (const { connection } of others) hangUp(connection)
    this.#note(answers, best?.server)
    this.#kept = best?.server.address ?? this.#kept
    if (signal.aborted && best !== undefined) hangUp(best.connection)
    signal.throwIfAborted()
    if (best !== undefined) return best
    throw failureOfAll(answers)
  }

  /** How the other servers are, and whether one of the preferred kind could be read while this one is not. */
  async lookAround(reading: Server, place: Place, signal: AbortSignal): Promise<Server | undefined> {
    const answers = await Promise.all(this.#all.map((server) => this.#ask(server, place, signal)))
    for (const { chosen } of answers) if (chosen !== undefined) hangUp(chosen.connection)
    this.#compareWithBefore(answers)
    this.#note(answers, reading)
    const isPreferred = (answer: Answer) => answer.facts !== undefined && this.#isPreferred(answer.facts)
    const own = answers.find(({ server }) => server === reading)
    if (own?.facts === undefined) return undefined
    if (isUnfit(own.verdict) || (own.chosen !== undefined && this.#isBehind(own.chosen)))
      return answers.find(({ chosen }) => chosen !== undefined && !this.#isBehind(chosen))?.server
    if (isPreferred(own)) return undefined
    const could = answers.filter((answer) => isPreferred(answer) && couldFollow(answer.verdict))
    return could.find(({ chosen }) => chosen === undefined || !this.#isBehind(chosen))?.server
  }

  /** Whether nothing new comes from it, or late. */
  #isBehind({ server, isStalled }: Chosen): boolean {
    return isStalled || this.#stale.has(server.address)
  }

  #compareWithBefore(answers: readonly Answer[]): void {
    const able = answers.flatMap(({ chosen }) => chosen ?? [])
    const lacks = (one: Chosen, other: Chosen): boolean => {
      const before = this.#before.get(other.server.address)
      return before !== undefined && !containsAll(one.executed, before)
    }
    const stale = able.filter((one) => able.some((other) => lacks(one, other)))
    this.#stale = new Set(stale.map(({ server }) => server.address))
    this.#before = new Map(able.map(({ server, executed }) => [server.address, executed]))
  }

  /** What is known of each: of all, or of those that answered until one was there that will do. */
  async #askAll(place: Place, signal: AbortSignal): Promise<readonly Answer[]> {
    const answers: Answer[] = []
    const late = new AbortController()
    const enough = Promise.withResolvers<void>()
    let timer: NodeJS.Timeout | undefined
    const asking = this.#all.map(async (server) => {
      const answer = await this.#askPatiently(server, place, AbortSignal.any([signal, late.signal]))
      if (late.signal.aborted) {
        if (answer.chosen !== undefined) hangUp(answer.chosen.connection)
        return
      }
      answers.push(answer)
      if (answer.chosen === undefined) return
      if (this.#isBest(answer.chosen)) enough.resolve()
      else timer ??= setTimeout(enough.resolve, preferredWaitMs)
    })
    await Promise.race([Promise.all(asking), enough.promise])
    clearTimeout(timer)
    late.abort()
    return answers
  }

  /** One of the preferred kind gets some time to have what we have, because we read no further meanwhile. */
  async #askPatiently(server: Server, place: Place, signal: AbortSignal): Promise<Answer> {
    const until = performance.now() + (this.#prefer === 'any' ? 0 : preferredLacksMs)
    for (;;) {
      const answer = await this.#ask(server, place, signal)
      const { facts, verdict } = answer
      const waits = verdict.kind === 'lacks' && facts !== undefined && this.#isPreferred(facts)
      if (!waits || performance.now() >= until || signal.aborted) return answer
      await sleep(askAgainMs, undefined, { signal }).catch(() => {})
    }
  }

  /** Never rejects for what is wrong with the server. */
  async #ask(server: Server, place: Place, signal: AbortSignal): Promise<Answer> {
    let connection: Connection | undefined
    let facts: ServerFacts | undefined
    const onAbort = () => {
      if (connection !== undefined) hangUp(connection)
    }
    signal.addEventListener('abort', onAbort)
    try {
      connection = await connect(server.settings)
      signal.throwIfAborted()
      facts = await readServerFacts(connection)
      refuseServer(facts)
      await refuseUnlogged(connection, facts)
      const here = this.#placeOn(place, facts)
      const verdict = await judge({ connection, facts }, here)
      if (verdict.kind !== 'continues') {
        hangUp(connection)
        return { server, facts, verdict, chosen: undefined }
      }
      const { executed, comparesLast, open } = verdict
      const isStalled = isReplica(facts) && (await replicates(connection)) === false
      const chosen = {
        server,
        connection,
        facts,
        place: { ...here, open },
        executed,
        comparesLast,
        isStalled,
      }
      return { server, facts, verdict, chosen }
    } catch (error) {
      if (connection !== undefined) hangUp(connection)
      if (!signal.aborted && !(error instanceof Failure)) throw error
      const failure = error instanceof Failure ? error : new Failure('transient', 'the wait was ended')
      return { server, facts, verdict: { kind: 'lost', failure }, chosen: undefined }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #isPreferred(facts: ServerFacts): boolean {
    return this.#prefer === 'any' || (this.#prefer === 'replica') === isReplica(facts)
  }

  /**
   * Lower is better: one that follows, the preferred kind, the one that was read before, the order in the configuration. One
   * that comes back after others went on without it may have a history of its own by now, so it is not gone back to
   * for its place in a list.
   */
  #rank(chosen: Chosen): number {
    const kind = (this.#isBehind(chosen) ? 2 : 0) + (this.#isPreferred(chosen.facts) ? 0 : 1)
    const order = this.#isKept(chosen)
      ? 0
      : this.#all.indexOf(chosen.server) + (this.#keepsOne(chosen) ? 1 : 0)
    return kind * (this.#all.length + 1) + order
  }

  #isKept({ server, facts, place }: Chosen): boolean {
    return this.#kept === undefined ? facts.identity === place.server : server.address === this.#kept
  }

  #keepsOne({ place }: Chosen): boolean {
    return this.#kept !== undefined || (place.server ?? '') !== ''
  }

  #isBest(chosen: Chosen): boolean {
    return this.#rank(chosen) === 0
  }

  #note(answers: readonly Answer[], reading: Server | undefined): void {
    for (const answer of answers) {
      const { address } = answer.server
      this.#health.set(address, healthOf(answer, this.#stale.has(address)))
    }
    const servers = this.#all.map(({ address }): ServerHealth => {
      const known = this.#health.get(address) ?? unknownHealth(address)
      if (address === reading?.address) return { ...known, state: 'reading' }
      return known.state === 'reading' ? { ...known, state: 'ready' } : known
    })
    const text = JSON.stringify(servers)
    if (text === this.#told) return
    this.#told = text
    this.#tell(servers)
  }
}

type PlaceOn = (place: Place, facts: ServerFacts) => Place

/** A server may still get what it lacks; nobody else can go on. */
export class CatchingUp extends Failure {
  /** What is wrong if it does not get it. */
  readonly otherwise: Failure

  constructor(address: string, lacking: string, otherwise: Failure) {
    super('transient', `waiting until ${address} has what was read before: it lacks ${lacking}`)
    this.name = 'CatchingUp'
    this.otherwise = otherwise
  }
}

function serversOf(settings: MysqlSettings): readonly Server[] {
  const first = serverAddress(settings)
  const further = (settings.hosts ?? []).map((text) => {
    const [, host = text, port] = /^(.*?)(?::(\d+))?$/.exec(text) ?? []
    return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? first.port : Number(port) }
  })
  return [first, ...further].map(({ host, port }) => ({
    address: `${host}:${port}`,
    settings: { ...settings, host, port },
  }))
}

/** It became so while it was read: its binlog shows no longer all that it has. */
function isUnfit(verdict: Verdict): boolean {
  return verdict.kind === 'lost' && verdict.failure.kind === 'unsupported'
}

/** What it lacks may be no more than what it will have in a moment. */
function couldFollow(verdict: Verdict): boolean {
  if (verdict.kind === 'continues') return true
  return verdict.kind === 'lacks' && verdict.failure.kind === 'transient'
}

function failureOfAll(answers: readonly Answer[]): Failure {
  const lacking = answers.flatMap(({ server, verdict }) =>
    verdict.kind === 'lacks' ? [{ server, verdict }] : [],
  )
  const isAnyAway = lacking.length < answers.length
  const [first, ...later] = lacking.toSorted(
    (a, b) => urgency(a.verdict.failure, isAnyAway) - urgency(b.verdict.failure, isAnyAway),
  )
  if (first !== undefined) {
    const otherwise = first.verdict.failure
    const addresses = [first, ...later].map(({ server }) => server.address).join(' or ')
    return new CatchingUp(addresses, first.verdict.lacking, otherwise)
  }
  const failures = answers.flatMap(({ server, verdict }) =>
    verdict.kind === 'continues' ? [] : [{ address: server.address, failure: verdict.failure }],
  )
  // While one may come back, waiting is right.
  const passing = failures.find(({ failure }) => failure.kind === 'transient' || failure.kind === 'overload')
  const main = passing ?? failures[0]
  if (main === undefined) return new Failure('transient', 'no server answered')
  if (failures.length === 1) return main.failure
  const others = failures.filter((each) => each !== main)
  const all = [main, ...others].map(({ address, failure }) => `${address}: ${failure.message}`).join('; ')
  const { kind, remedy } = main.failure
  const remedies = remedy ?? others.find(({ failure }) => failure.remedy !== undefined)?.failure.remedy
  return new Failure(kind, `none of the servers can be read: ${all}`, {
    cause: main.failure,
    ...(remedies === undefined ? {} : { remedy: remedies }),
  })
}

/**
 * What can be gone on from first. Then what may pass, because a server that is away may have what the others lack; where none
 * is away, replicas wait for what a leader must have and has not, and a person must decide.
 */
function urgency(failure: Failure, isAnyAway: boolean): number {
  if (failure instanceof Divergence) return 0
  return (failure.kind === 'transient') === isAnyAway ? 1 : 2
}

function healthOf({ server, facts, verdict, chosen }: Answer, isStale: boolean): ServerHealth {
  const role = facts === undefined ? null : isReplica(facts) ? 'replica' : 'primary'
  const { address } = server
  if (isStale) return { address, role, state: 'behind', detail: 'it gets changes late, or none' }
  if (verdict.kind === 'continues') return { address, role, state: 'ready', detail: detailOf(chosen) }
  if (verdict.kind === 'lacks')
    return { address, role, state: 'behind', detail: `it lacks ${verdict.lacking}` }
  const passes = verdict.failure.kind === 'transient' || verdict.failure.kind === 'overload'
  return { address, role, state: passes ? 'away' : 'unfit', detail: verdict.failure.message }
}

function detailOf(chosen: Chosen | undefined): string | null {
  if (chosen?.isStalled === true) return 'it is a replica that does not follow: see SHOW REPLICA STATUS'
  if (chosen?.place.last === undefined || chosen.comparesLast) return null
  return 'its binlog has no more the last transaction that was read: whether it is the same could not be seen'
}

function unknownHealth(address: string): ServerHealth {
  return { address, role: null, state: 'away', detail: 'it has not answered yet' }
}
