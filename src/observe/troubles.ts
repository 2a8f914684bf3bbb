/** Which facts begin a trouble that people should know of, and which end it. */
import type { Failure } from '../change/failure.ts'
import type { Fact } from '../pipeline/facts.ts'

export interface Trouble {
  /** One for each subject and kind. */
  readonly key: string
  readonly subject: string
  readonly cause: string
  readonly remedy: string | undefined
  /** Told at once; otherwise when it has lasted for a while. */
  readonly isCertain: boolean
  /** It is over when it was not seen for so long, ms; undefined = another fact ends it. */
  readonly endsAfterMs: number | undefined
}

interface Change {
  readonly begun: readonly Trouble[]
  /** Keys of troubles that are over, if they had begun. */
  readonly over: readonly string[]
}

/** Warnings that come again at intervals are over when they stay away. */
const warningEndsAfterMs = 60_000
/** A lag is over when it is well below the limit, so that one at the limit is not told again and again. */
const lagOverShare = 0.5

const nothing: Change = { begun: [], over: [] }

export function troublesOf(fact: Fact, limits: { readonly lagSeconds: number }): Change {
  if ('group' in fact) return ofGroup(fact, limits)
  if (fact.kind === 'cache-state') return ofCache(fact.failure)
  return 'source' in fact ? ofSource(fact) : nothing
}

function ofGroup(fact: Extract<Fact, { group: string }>, { lagSeconds }: { lagSeconds: number }): Change {
  const { group } = fact
  const [waiting, failed, letters, lost, lag] = ['waiting', 'failed', 'dead-letters', 'lost', 'lag'].map(
    (kind) => `${group}:${kind}`,
  ) as [string, string, string, string, string]
  switch (fact.kind) {
    case 'target-waiting':
      return begins(waiting, group, `waits for its target: ${fact.failure.message}`, {
        remedy: fact.failure.remedy,
      })
    case 'target-ready':
      return { begun: [], over: [waiting] }
    case 'pipeline-state':
      return ofState(fact, { waiting, failed, lost })
    case 'dead-letters':
      return fact.open === 0
        ? { begun: [], over: [letters] }
        : begins(letters, group, `documents are refused: ${fact.open} dead letters`, {
            isCertain: true,
            remedy: `millrace dead-letters ls ${group} says why`,
          })
    case 'canary':
      return ofCanary(fact)
    case 'group-lost':
      return begins(lost, group, 'the log dropped what was not delivered', {
        isCertain: true,
        remedy: `millrace pipelines reload ${group} reads the table again`,
      })
    case 'group-endangered':
      return begins(`${group}:endangered`, group, 'the log will soon drop what is not delivered', {
        isCertain: true,
        remedy: 'mend the target, or raise log.ceilingGb, and in Kafka log.retentionHours',
        endsAfterMs: warningEndsAfterMs,
      })
    case 'lag':
      if (fact.seconds < lagSeconds * lagOverShare) return { begun: [], over: [lag] }
      return fact.seconds < lagSeconds
        ? nothing
        : begins(lag, group, `is more than ${lagSeconds} s behind`, { isCertain: true })
    default:
      return nothing
  }
}

function ofCanary({ group, isFound, seconds, failure }: Extract<Fact, { kind: 'canary' }>): Change {
  const key = `${group}:canary`
  if (isFound) return { begun: [], over: [key] }
  const why = failure === undefined ? '' : `: ${failure.message}`
  const remedy = failure?.remedy ?? 'millrace status shows which stage is behind'
  return begins(key, group, `no search finds the canary, changed ${Math.round(seconds)} s ago${why}`, {
    isCertain: true,
    remedy,
  })
}

function ofState(
  { group, state, failure }: Extract<Fact, { kind: 'pipeline-state' }>,
  { waiting, failed, lost }: { waiting: string; failed: string; lost: string },
): Change {
  switch (state) {
    case 'failed':
      return begins(failed, group, `has stopped: ${failure?.message ?? ''}`, {
        isCertain: true,
        remedy: failure?.remedy,
      })
    case 'waiting':
      return begins(waiting, group, `cannot run: ${failure?.message ?? ''}`, { remedy: failure?.remedy })
    case 'running':
    case 'loading':
      return { begun: [], over: [waiting, failed, lost] }
    // A pause is somebody's will.
    case 'paused':
      return { begun: [], over: [waiting, failed, `${group}:canary`] }
    default:
      return nothing
  }
}

function ofSource(fact: Extract<Fact, { source: string }>): Change {
  const { source } = fact
  const waiting = `${source}:source`
  switch (fact.kind) {
    case 'source-state':
      if (fact.state === 'running') return { begun: [], over: [waiting] }
      return fact.failure === undefined
        ? nothing
        : begins(waiting, source, `changes are not read: ${fact.failure.message}`, {
            isCertain: fact.state === 'failed',
            remedy: fact.failure.remedy,
          })
    case 'capture-started':
      return { begun: [], over: [waiting] }
    case 'source-endangered':
      return begins(`${source}:endangered`, source, 'the server will soon purge changes that are not read', {
        isCertain: true,
        remedy: 'look why capture is behind, or let the server keep its binlog for longer',
        endsAfterMs: warningEndsAfterMs,
      })
    default:
      return nothing
  }
}

/** It does no harm by itself, so it is told only when it lasts. */
function ofCache(failure: Failure | undefined): Change {
  if (failure === undefined) return { begun: [], over: ['cache'] }
  const cause = `limits and answers are not shared: ${failure.message}`
  return begins('cache', 'cache', cause, { remedy: failure.remedy })
}

function begins(
  key: string,
  subject: string,
  cause: string,
  more: { readonly isCertain?: boolean; readonly remedy?: string | undefined; readonly endsAfterMs?: number },
): Change {
  const { isCertain = false, remedy, endsAfterMs } = more
  return { begun: [{ key, subject, cause, remedy, isCertain, endsAfterMs }], over: [] }
}
