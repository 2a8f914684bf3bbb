/**
 * A replica of the source on which rows are read for documents. Each read waits until it has all that the read must see; where it
 * lacks that for too long, or cannot be reached, the source itself is read for a while, if that is the policy.
 */
import type { Position } from '../../../change/change.ts'
import { Failure } from '../../../change/failure.ts'
import type { Finding, ReadCost } from '../../source.ts'
import { Answers } from './answers.ts'
import type { ReadsSettings } from '../server/connection.ts'
import { KnownShapes } from '../schema/known-shapes.ts'
import { withView } from './read-view.ts'
import { readCost } from '../server/session-cost.ts'
import { openSession, Sessions, type Session } from '../server/sessions.ts'
import { XaEnds } from '../transactions/xa-ends.ts'

/** A connection for reading rows, with what is known of tables on its server. */
export interface RowReader extends Session {
  readonly shapes: KnownShapes
  readonly answers: Answers
  /** Of a replica, which is waited for in a way of its own. */
  readonly replicaWaitMs?: number
}

/** So long a replica that was behind, or away, is not asked again. */
const restMs = 10_000

export class ReadingReplica {
  readonly #settings: ReadsSettings
  readonly #sessions: Sessions
  readonly #cached = { shapes: new KnownShapes(), answers: new Answers() }
  #restsUntilMs = 0

  constructor(settings: ReadsSettings) {
    this.#settings = settings
    this.#sessions = new Sessions(() => openSession(settings.server))
  }

  /** `otherwise` reads the source itself. What `use` has read before it failed is read again. */
  async with<Result>(
    use: (reader: RowReader) => Promise<Result>,
    otherwise: () => Promise<Result>,
  ): Promise<Result> {
    const mayLeave = this.#settings.otherwise === 'primary'
    if (mayLeave && Date.now() < this.#restsUntilMs) return await otherwise()
    try {
      const { waitMs: replicaWaitMs } = this.#settings
      return await this.#sessions.with(
        async (session) => await use({ ...session, ...this.#cached, replicaWaitMs }),
      )
    } catch (error) {
      if (!mayLeave || !(error instanceof Failure) || !passing.has(error.kind)) throw error
      this.#restsUntilMs = Date.now() + restMs
      return await otherwise()
    }
  }

  /** For doctor: whether it comes to have what the source has now. */
  async examine(head: Position): Promise<Finding> {
    const { waitMs } = this.#settings
    const fact = 'reads on the replica'
    try {
      const xaEnds = new XaEnds()
      await this.#sessions.with(async (session) => {
        const view = { ...session, xaEnds, includes: head, replicaWaitMs: waitMs }
        await withView(view, new AbortController().signal, () => Promise.resolve())
      })
      return { level: 'ok', fact, found: 'it has what the source has' }
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      const {
        message: found,
        remedy = 'let it replicate from the source, or give it longer: reads.waitSeconds',
      } = error
      return { level: 'warning', fact, found, remedies: { mysql: remedy } }
    }
  }

  async costs(): Promise<readonly ReadCost[]> {
    return await this.#sessions.each(({ connection }) => readCost(connection))
  }

  async close(): Promise<void> {
    await this.#sessions.close()
  }
}

/** Kinds of failures that say of the server that it is not there, or not yet as far. */
const passing: ReadonlySet<Failure['kind']> = new Set(['transient', 'overload', 'unauthorised'])
