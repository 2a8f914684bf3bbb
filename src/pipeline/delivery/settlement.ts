/** What the outcomes of one request mean for each of its works: done, put aside, or the same again later. */
import type { List } from '../../change/list.ts'
import type { Outcome } from '../../sink/sink.ts'
import type { Written } from './letters.ts'
import type { ChosenWorks, PendingWork } from './pending-work.ts'
import { waitMsOf } from '../retry-policy.ts'

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
  /** To be written again; each knows when. Their numbers among the works. */
  readonly again: ReadonlySet<number>
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
  works: List<PendingWork>,
  outcomes: readonly Outcome[],
  rules: SettlementRules,
): Settlement {
  const [refused, lacking]: [Refused[], Refused[]] = [[], []]
  const again = new Set<number>()
  const puzzles: (Refused & { readonly at: number })[] = []
  for (let at = 0; at < works.length; at++) {
    const outcome = outcomes[at]
    if (outcome === undefined || isWritten(outcome)) continue
    const work = works.at(at)
    if (work === undefined) continue
    if (outcome.kind === 'incomplete') lacking.push({ ...outcome, work })
    else if (outcome.kind === 'rejected') refused.push({ ...outcome, work })
    else if (outcome.kind === 'unknown') puzzles.push({ ...outcome, work, at })
    else {
      delay(work, { ...rules, share: busyShare })
      again.add(at)
    }
  }
  for (const { work } of refused) work.fail()
  // Where nothing was taken, the target is to blame and not these documents.
  const isTargetWell = works.length > refused.length + again.size + puzzles.length
  for (const puzzle of puzzles) {
    if (isTargetWell) puzzle.work.fail()
    if (puzzle.work.attempts >= rules.attemptsMax) refused.push(puzzle)
    else {
      delay(puzzle.work, { ...rules, share: 1 })
      again.add(puzzle.at)
    }
  }
  return { refused, lacking, again }
}

/** Those that are to be written without some of their parts, and have not been tried. */
export function lackingAmong(works: ChosenWorks): readonly Refused[] {
  if (works.operations.arePlain === true) return []
  return [...works].flatMap((work) => {
    const { remark } = work.operation
    const isNew = work.delays + work.attempts === 0
    return isNew && remark?.kind === 'lacking' ? [{ ...remark, work }] : []
  })
}

/** What was written, or is there already in this version or a newer one. */
export function writtenAmong(works: List<PendingWork>, outcomes: readonly Outcome[]): readonly Written[] {
  const written: Written[] = []
  for (const [at, { operation }] of [...works].entries()) {
    const outcome = outcomes[at]
    // That a document left a place says nothing of it where it is now.
    if (outcome === undefined || !isWritten(outcome) || operation.vacates === true) continue
    const { id, version, repeatable } = operation
    const isOther = outcome.kind === 'stale' && !repeatable && (outcome.stored ?? version) <= version
    written.push(isOther ? { id, notOf: version } : { id })
  }
  return written
}

function isWritten(outcome: Outcome): outcome is Extract<Outcome, { kind: 'applied' | 'stale' }> {
  const { kind } = outcome
  return kind === 'applied' || kind === 'stale'
}

/** What the target had no room for comes again sooner than what it fails on. */
const busyShare = 0.1

function delay(
  work: PendingWork,
  { nowMs, share, ...patience }: SettlementRules & { readonly share: number },
): void {
  work.putOff(nowMs + Math.round(waitMsOf(work.delays + 1, patience) * share))
}
