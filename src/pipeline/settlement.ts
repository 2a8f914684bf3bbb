/** What the outcomes of one request mean for each of its works: done, put aside, or the same again later. */
import type { Outcome } from '../sink/sink.ts'
import type { PendingWork } from './dedupe.ts'
import { waitMsOf } from './retry-policy.ts'

export interface Refused {
  readonly work: PendingWork
  readonly reason: string
  /** What alike refusals share. */
  readonly fingerprint: string
}

export interface Settlement {
  readonly refused: readonly Refused[]
  /** Written without some of their parts. */
  readonly lacking: readonly Refused[]
  /** To be written again; each knows when. */
  readonly again: ReadonlySet<PendingWork>
}

export interface SettlementRules {
  /** An error that says nothing ends in a dead letter after so many attempts. */
  readonly attemptsMax: number
  readonly waitSecondsMax: number
  readonly nowMs: number
  /** 0 to below 1. */
  readonly chance: number
}

/** Works that are neither refused nor to be written again are done. */
export function settlementOf(
  works: readonly PendingWork[],
  outcomes: readonly Outcome[],
  rules: SettlementRules,
): Settlement {
  const [refused, lacking]: [Refused[], Refused[]] = [[], []]
  const again = new Set<PendingWork>()
  const puzzles: Refused[] = []
  for (let at = 0; at < works.length; at++) {
    const [work, outcome] = [works[at], outcomes[at]]
    if (work === undefined || outcome === undefined || isWritten(outcome)) continue
    if (outcome.kind === 'incomplete') lacking.push({ ...outcome, work })
    else if (outcome.kind === 'busy') delay(again, work, { ...rules, share: busyShare })
    else (outcome.kind === 'rejected' ? refused : puzzles).push({ ...outcome, work })
  }
  for (const { work } of refused) work.attempts++
  // Where nothing was taken, the target is to blame and not these documents.
  const isTargetWell = works.length > refused.length + again.size + puzzles.length
  for (const puzzle of puzzles) {
    if (isTargetWell) puzzle.work.attempts++
    if (puzzle.work.attempts >= rules.attemptsMax) refused.push(puzzle)
    else delay(again, puzzle.work, { ...rules, share: 1 })
  }
  return { refused, lacking, again }
}

function isWritten(outcome: Outcome): outcome is Extract<Outcome, { kind: 'applied' | 'stale' }> {
  const { kind } = outcome
  return kind === 'applied' || kind === 'stale'
}

/** What the target had no room for comes again sooner than what it fails on. */
const busyShare = 0.1

function delay(
  again: Set<PendingWork>,
  work: PendingWork,
  { nowMs, share, ...patience }: SettlementRules & { readonly share: number },
): void {
  again.add(work)
  work.delays++
  work.notBeforeMs = nowMs + Math.round(waitMsOf(work.delays, patience) * share)
}
