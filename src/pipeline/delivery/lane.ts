/**
 * One lane of a group: entries in log order become operations, deduped per id, written one request at a time, so that
 * never two operations on one id are under way. What is finished, in any order, moves the lane's committed offset.
 *
 *   queue ──▶ enrich ──▶ pending (by id) ──▶ sink.write ──▶ applied, stale: finished
 *                            ▲                              busy: stays pending
 *                            └──────────────────────────────rejected: dead letter, finished
 *
 * At a barrier everything before it is finished, then the barrier is dealt with (barriers.ts), then the lane goes on.
 */
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { committedAtMsOf } from '../../change/records.ts'
import { Holders } from '../../change/holders.ts'
import type { List } from '../../change/list.ts'
import type { Enricher } from '../../document/enricher.ts'
import type { ChangeLog, DeadLetter, LaneBatch, NumberedBarrier } from '../../log/log.ts'
import { textOfBody, type Outcome, type Sink } from '../../sink/sink.ts'
import { AckTracker } from './ack-tracker.ts'
import type { Clock } from '../clock.ts'
import { PendingOperations } from './dedupe.ts'
import type { Observe } from '../facts.ts'
import type { Letters } from './letters.ts'
import { mergeFirst } from './merging.ts'
import type { PendingWork } from './pending-work.ts'
import { Signal } from '../../change/signal.ts'
import { Tally } from './tally.ts'
import { decide, failureOf } from '../retry-policy.ts'
import { lackingAmong, settlementOf, writtenAmong, type Refused } from './settlement.ts'

export interface DeliveryLimits {
  /** Operations in one request. */
  readonly requestCountMax: number
  readonly requestBytesMax: number
  /** How long the first change of a request may wait for others, ms; 0 = write at once. */
  readonly batchAgeMs: number
  /** A document is written at most once in so long, ms; 0 = as soon as it can be. */
  readonly windowMs: number
  /** A document is put aside when the target failed on it so often without saying why. */
  readonly attemptsMax: number
  readonly waitSecondsMax: number
  /** Bytes of rows that wait in a lane; beyond it the log is not read on. */
  readonly queuedBytesMax: number
  /** Entries that become documents at once, where others are asked for these; not there = as they come from the log. */
  readonly mergedEntriesMax?: number
}

export interface LaneParts {
  readonly group: string
  readonly lane: number
  readonly committed: Offset
  readonly log: ChangeLog
  readonly sink: Sink
  readonly enrich: Enricher
  /** Resolves when this lane, which has finished everything before the barrier, may go on. */
  readonly barrier: (barrier: NumberedBarrier, signal: AbortSignal) => Promise<void>
  readonly letters: Letters
  readonly clock: Clock
  readonly observe: Observe
  readonly limits: DeliveryLimits
  /** The highest version that the log can have given; a stored one above it is a stranger's. */
  readonly highestVersion: () => bigint
  /** Told after each commit. */
  readonly committedTo: (lane: number, next: Offset) => void
  /** Resolves when every lane has finished everything before the offset, or cannot go on itself. */
  readonly allSettled: (offset: Offset, signal: AbortSignal) => Promise<void>
  /** Throws when the index is no longer the one that this group fills. */
  readonly guard: () => Promise<void>
  /** Ends even what is being written. */
  readonly abort: AbortSignal
}

export class Lane {
  readonly #parts: LaneParts
  readonly #pending = new PendingOperations()
  readonly #acks: AckTracker
  readonly #finished = (offset: Offset): void => this.#acks.finish(offset)
  readonly #changed = new Signal()
  readonly #taken = new Signal()
  #queue: LaneBatch[] = []
  /** The next entries cannot become documents. */
  #isHeld = false
  #queued = 0
  #queuedBytes = 0
  #committed: Offset
  #committing: Promise<void> | undefined
  #commitFailure: { readonly error: unknown } | undefined

  constructor(parts: LaneParts) {
    this.#parts = parts
    this.#committed = parts.committed
    this.#acks = new AckTracker(parts.committed)
  }

  /** Takes entries; resolves when there is room for more. */
  async give(batch: LaneBatch, signal: AbortSignal): Promise<void> {
    // What lies behind is for the next run; the other lanes are still to get theirs.
    if (this.#isHeld) return
    this.#queue.push(batch)
    this.#queued += batch.entries.length
    this.#queuedBytes += batch.bytes
    this.#changed.notify()
    for (let seen = this.#taken.count; this.#isOverfull();) {
      seen = await this.#taken.next(seen, signal)
    }
  }

  #isOverfull(): boolean {
    return !this.#isHeld && this.#queuedBytes > this.#parts.limits.queuedBytesMax
  }

  /** Whether everything before the offset is finished, or nothing more can be. */
  hasSettled(offset: Offset): boolean {
    return this.#isHeld || this.#committed >= offset
  }

  /** Delivers until the signal aborts (what is being written is finished first), or throws a Failure. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const seen = this.#changed.count
        await this.#drain(signal)
        if (this.#pending.count > 0) await this.#writeSome(signal)
        this.#commit(signal)
        this.#throwCommitFailure()
        signal.throwIfAborted()
        if (this.#queue.length === 0 && this.#pending.count === 0) await this.#changed.next(seen, signal)
      }
    } finally {
      await this.#committing
    }
  }

  /** From the queue into the pending operations, up to what one request holds. */
  async #drain(signal: AbortSignal): Promise<void> {
    const { limits, clock } = this.#parts
    await this.#gather(signal)
    const endAtMs = clock.elapsed() + drainMs
    while (this.#pending.count < limits.requestCountMax && this.#pending.bytes < limits.requestBytesMax) {
      if (limits.mergedEntriesMax !== undefined) mergeFirst(this.#queue, limits.mergedEntriesMax)
      const batch = this.#queue[0]
      if (batch === undefined) break
      const { barrier } = batch
      const isTaken = await (barrier === undefined
        ? this.#expanded(batch, signal)
        : this.#passed(barrier, signal))
      if (!isTaken) return
      this.#queue.shift()
      this.#acks.pass(batch.next)
      this.#queued -= batch.entries.length
      this.#queuedBytes -= batch.bytes
      this.#taken.notify()
      // While others are asked more may come, again and again, and nothing would ever be written.
      if (this.#pending.count > 0 && clock.elapsed() >= endAtMs) break
    }
  }

  /** False = what came before is to be written first. */
  async #passed(barrier: NumberedBarrier, signal: AbortSignal): Promise<boolean> {
    if (this.#pending.count > 0) return false
    await this.#patiently(() => this.#parts.barrier(barrier, signal), signal)
    return true
  }

  /** Lets a request fill for a while, when the pipeline wants that. */
  async #gather(signal: AbortSignal): Promise<void> {
    const { limits, clock } = this.#parts
    if (limits.batchAgeMs === 0 || this.#queued === 0 || this.#queued >= limits.requestCountMax) return
    await clock.sleep(limits.batchAgeMs, signal)
  }

  /** False = what came before is to be written first. Throws when it is, here and in the other lanes. */
  async #expanded(batch: LaneBatch, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#expand(batch, signal)
      return true
    } catch (error) {
      if (this.#pending.count > 0) return false
      if (!(error instanceof Failure)) throw error
      this.#isHeld = true
      this.#taken.notify()
      await this.#parts.allSettled(batch.entries.offset(0), signal)
      throw error
    }
  }

  async #expand({ entries, release }: LaneBatch, signal: AbortSignal): Promise<void> {
    if (entries.length === 0) return
    const works = await this.#parts.enrich(entries, signal)
    const holders = new Holders(release)
    const ready = { entries, works, holders, openUntilMs: 0 }
    const open = { ...ready, openUntilMs: this.#openUntilMs }
    for (let from = 0, work = works.at(0); work !== undefined;) {
      const { at } = work
      let to = from
      // What nobody committed just now, such as the row of a load, waits for nothing.
      const isHeld = open.openUntilMs > 0 && committedAtMsOf(entries.records, entries.place(at)) > 0
      for (; work?.at === at; work = works.at(++to)) this.#pending.add(isHeld ? open : ready, to, work)
      this.#acks.start(entries.offset(at), to - from)
      from = to
    }
    holders.drop()
  }

  /** Windows of all documents end together, so that they go into one request. */
  get #openUntilMs(): number {
    const { limits, clock } = this.#parts
    return limits.windowMs === 0 ? 0 : (Math.floor(clock.elapsed() / limits.windowMs) + 1) * limits.windowMs
  }

  async #writeSome(signal: AbortSignal): Promise<void> {
    const { limits, group, lane, clock, observe, sink, abort } = this.#parts
    const works = this.#pending.first(limits.requestCountMax, limits.requestBytesMax, clock.elapsed())
    if (works.length === 0) return await this.#untilDue(signal)
    // Before it is written: should we end in between, nobody could tell it from a document that lacks nothing.
    const lacking = lackingAmong(works).map((each) => this.#letter(each))
    if (lacking.length > 0) await this.#patiently(() => this.#parts.letters.layAside(lacking), signal)
    await this.#patiently(async () => {
      observe({ kind: 'writing', group, lane, operations: works.length })
      const startedAtMs = clock.elapsed()
      const outcomes = await sink.write(works.operations, abort)
      await this.#settle(works, outcomes, startedAtMs)
    }, signal)
  }

  /** Does what the target is needed for; again, after a while, as long as it is worth trying. */
  async #patiently(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await work()
        if (attempt > 1) this.#parts.observe({ kind: 'target-ready', group: this.#parts.group })
        return
      } catch (error) {
        signal.throwIfAborted()
        await this.#wait(error, attempt, signal)
      }
    }
  }

  async #wait(error: unknown, attempt: number, signal: AbortSignal): Promise<void> {
    const failure = failureOf(error)
    const { waitSecondsMax } = this.#parts.limits
    const decision = decide(failure, attempt, { waitSecondsMax, chance: this.#parts.clock.random() })
    if (decision.kind === 'stop') throw failure
    if (failure.kind === 'target') await this.#parts.guard()
    const { group, observe, clock } = this.#parts
    observe({ kind: 'target-waiting', group, failure, waitMs: decision.waitMs, attempt })
    await clock.sleep(decision.waitMs, signal)
  }

  /** Nothing is due: what the target had no room for waits, and others may come meanwhile. */
  async #untilDue(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    await clock.sleep(Math.min(Math.max(1, this.#pending.dueAtMs - clock.elapsed()), dueEveryMs), signal)
  }

  async #settle(works: List<PendingWork>, outcomes: readonly Outcome[], startedAtMs: number): Promise<void> {
    const { group, lane, observe, clock, limits, letters } = this.#parts
    const tally = new Tally(clock.now(), works.length)
    for (let at = 0; at < works.length; at++) {
      const work = works.at(at)
      const outcome = outcomes[at]
      if (work === undefined || outcome === undefined) throw new Error('a sink answers for each operation')
      tally.add(work, outcome)
      if (outcome.kind === 'stale') this.#checkStored(work, outcome.stored)
    }
    const { refused, lacking, again } = settlementOf(works, outcomes, {
      ...limits,
      nowMs: clock.elapsed(),
      chance: clock.random(),
    })
    letters.passed(works.length - refused.length - lacking.length - again.size)
    await letters.layAside(refused.map((each) => this.#letter(each)))
    // As a rule there are none, and of a large request the list of ids is worth sparing.
    if (!letters.areNone) await letters.settle(writtenAmong(works, outcomes))
    for (let at = 0; at < works.length; at++) if (!again.has(at)) this.#finish(works.at(at))
    observe({ kind: 'written', group, lane, ...tally.figures(), tookMs: clock.elapsed() - startedAtMs })
  }

  #checkStored(work: PendingWork, stored: bigint | undefined): void {
    if (stored === undefined || stored <= this.#parts.highestVersion()) return
    throw new Failure(
      'conflict',
      `document ${work.operation.id} has version ${stored}, which this log never gave`,
      {
        remedy: 'something else writes to this index: stop it, then run with --reload for this pipeline',
      },
    )
  }

  #letter({ work, reason, fingerprint }: Refused): DeadLetter {
    const { operation, attempts } = work
    const now = this.#parts.clock.now()
    return {
      id: operation.id,
      table: work.table,
      key: work.key,
      version: String(operation.version),
      op: operation.op,
      reason,
      fingerprint,
      attempts,
      firstAtMs: now,
      lastAtMs: now,
      document: operation.body === undefined ? undefined : textOfBody(operation.body),
    }
  }

  #finish(work: PendingWork | undefined): void {
    if (work === undefined) return
    work.forEachOffset(this.#finished)
    this.#pending.remove(work)
  }

  /** Begins to commit what is safe, unless that is under way: it goes on to the newest. */
  #commit(signal: AbortSignal): void {
    if (this.#acks.safe > this.#committed) this.#committing ??= this.#commitAll(signal)
  }

  async #commitAll(signal: AbortSignal): Promise<void> {
    const { group, lane, log, observe, committedTo } = this.#parts
    try {
      while (this.#acks.safe > this.#committed) {
        const next = this.#acks.safe
        await log.commit(group, lane, next)
        this.#committed = next
        observe({ kind: 'committed', group, lane, next })
        committedTo(lane, next)
        await this.#restAfterCommit(signal)
      }
    } catch (error) {
      this.#commitFailure = { error }
      this.#changed.notify()
    } finally {
      this.#committing = undefined
    }
  }

  /** Each commit is a write to the disk that appends and the target may wait for; what it saves is only work done twice. */
  async #restAfterCommit(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    // At the end, what is finished is committed at once.
    await this.#parts.clock.sleep(commitEveryMs, signal).catch(() => undefined)
  }

  #throwCommitFailure(): void {
    if (this.#commitFailure !== undefined) throw this.#commitFailure.error
  }
}

/** So long at most more entries become documents before those that did are written. */
const drainMs = 250
/** While nothing is due, a lane looks so often for what is. */
const dueEveryMs = 100
/** A lane's place in the log is written at most so often. */
const commitEveryMs = 100
