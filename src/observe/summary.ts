/** What happens too often for a line each, in one line now and then. */
import type { Fact } from '../pipeline/facts.ts'
import { partsOfGroup } from './group.ts'
import type { Note } from './notes.ts'

export interface Summary {
  /** True when the summary tells it, so that it needs no line of its own. */
  readonly observe: (fact: Fact) => boolean
  /** A note for each source and pipeline in which something happened since the last one. */
  readonly take: (nowMs: number) => readonly Note[]
}

interface Work {
  changes: number
  stale: number
  deadLetters: number
  lagSeconds: number
  load: Extract<Fact, { kind: 'chunk-appended' }> | undefined
}

export function createSummary(): Summary {
  const works = new Map<string, Work>()
  const fingerprints = new Set<string>()
  let sinceMs = performance.now()

  const workOf = (group: string): Work => {
    const known = works.get(group)
    if (known !== undefined) return known
    const made: Work = { changes: 0, stale: 0, deadLetters: 0, lagSeconds: 0, load: undefined }
    works.set(group, made)
    return made
  }

  return {
    observe(fact) {
      if (!('group' in fact)) return often.has(fact.kind)
      if (fact.kind === 'dead-letter') {
        workOf(fact.group).deadLetters++
        const isKnown = fingerprints.has(fact.fingerprint)
        if (fingerprints.size < fingerprintsMax) fingerprints.add(fact.fingerprint)
        return isKnown || fingerprints.size >= fingerprintsMax
      }
      add(workOf(fact.group), fact)
      return often.has(fact.kind)
    },
    take(nowMs) {
      const seconds = Math.max(0.001, (nowMs - sinceMs) / 1000)
      sinceMs = nowMs
      const notes = [...works].flatMap(([group, work]) => notesOf(group, work, seconds))
      for (const work of works.values())
        Object.assign(work, { changes: 0, stale: 0, deadLetters: 0, load: undefined })
      return notes
    },
  }
}

/** Kinds that are told in sum. */
const often: ReadonlySet<Fact['kind']> = new Set([
  'source-alive',
  'captured',
  'appended',
  'chunk-read',
  'chunk-appended',
  'writing',
  'touched',
  'looked-up',
  'upstream-asked',
  'written',
  'committed',
  'lag',
  'retention',
  'dead-letters',
])

/** Kinds of dead letters beyond this many get no line of their own any more. */
const fingerprintsMax = 100

function add(work: Work, fact: Extract<Fact, { group: string }>): void {
  if (fact.kind === 'written') {
    work.changes += fact.indexed + fact.deleted + fact.stale
    work.stale += fact.stale
  }
  if (fact.kind === 'lag') work.lagSeconds = fact.seconds
  if (fact.kind === 'chunk-appended') work.load = fact
  if (fact.kind === 'load-finished') work.load = undefined
}

function notesOf(group: string, work: Work, seconds: number): readonly Note[] {
  const { pipeline, target } = partsOfGroup(group)
  const { changes, stale, lagSeconds, load, deadLetters } = work
  const notes: Note[] = []
  if (changes > 0 || load !== undefined) {
    const perSecond = Math.round(changes / seconds)
    const lag = Math.round(lagSeconds * 10) / 10
    const parts = [`${perSecond.toLocaleString('en-US')} changes/s`, `lag ${lag} s`, ...loadParts(load)]
    const fields = { fact: 'summary', pipeline, target, changes, stale, perSecond, lagSeconds: lag }
    notes.push({ level: 'info', message: `${pipeline}: ${parts.join(', ')}`, fields })
  }
  if (deadLetters > 0) {
    const fields = { fact: 'summary', pipeline, target, deadLetters }
    notes.push({ level: 'warn', message: `${pipeline}: ${deadLetters} documents were put aside`, fields })
  }
  return notes
}

function loadParts(load: Work['load']): readonly string[] {
  if (load === undefined) return []
  const share = Math.min(99, Math.floor((100 * load.rowsDone) / Math.max(1, load.rowsEstimate)))
  const left = load.etaSeconds === undefined ? [] : [`${Math.round(load.etaSeconds)} s left`]
  return [`${share} % of ${load.table} read`, ...left]
}
