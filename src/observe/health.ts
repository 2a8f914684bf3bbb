/** What the facts mean to whoever starts and stops us: is the process worth keeping, is it ready to be relied on? */
import type { Failure } from '../change/failure.ts'
import type { Fact, Observe, PipelineState, SourceState } from '../pipeline/facts.ts'
import { partsOfGroup } from './group.ts'

interface Readiness {
  readonly ready: boolean
  /** Why not, each a sentence. */
  readonly reasons: readonly string[]
}

export interface Health {
  readonly observe: Observe
  /** True as long as the event loop answers at all: a server that is away is no reason to restart us. */
  readonly live: () => boolean
  readonly ready: () => Readiness
}

type Condition = { readonly kind: 'well' } | { readonly kind: 'ill'; readonly reason: string }

const well: Condition = { kind: 'well' }

/** Ready = every source has begun to capture, every pipeline delivers or loads, and nobody has asked us to stop. */
export function createHealth(expected: {
  readonly sources: readonly string[]
  readonly groups: readonly string[]
}): Health {
  const conditions = new Map<string, Condition>()
  for (const source of expected.sources) conditions.set(source, ill(`source ${source} has not begun yet`))
  for (const group of expected.groups) {
    conditions.set(group, ill(`pipeline ${partsOfGroup(group).pipeline} has not begun yet`))
  }
  let stopping = false
  return {
    observe(fact) {
      if (fact.kind === 'stopping') stopping = true
      // A pipeline that does not run sends no canary.
      if (fact.kind === 'pipeline-state' && !['running', 'loading'].includes(fact.state))
        conditions.delete(canaryOf(fact.group))
      const subject = subjectOf(fact)
      const condition = conditionOf(fact)
      if (subject !== undefined && condition !== undefined) conditions.set(subject, condition)
    },
    live: () => true,
    ready() {
      const reasons = [...conditions.values()].flatMap((each) => (each.kind === 'ill' ? [each.reason] : []))
      if (stopping) reasons.push('the process is stopping')
      return { ready: reasons.length === 0, reasons }
    },
  }
}

/** A canary says nothing of how the pipeline is otherwise. */
function subjectOf(fact: Fact): string | undefined {
  if (fact.kind === 'canary') return canaryOf(fact.group)
  return 'source' in fact ? fact.source : 'group' in fact ? fact.group : undefined
}

function canaryOf(group: string): string {
  return `${group}:canary`
}

/** What a fact says of its subject; undefined = nothing new. */
function conditionOf(fact: Fact): Condition | undefined {
  switch (fact.kind) {
    case 'capture-started':
    case 'target-ready':
      return well
    case 'target-waiting':
      return ill(`${partsOfGroup(fact.group).pipeline} waits for its target${because(fact.failure)}`)
    case 'canary':
      return fact.isFound ? well : ill(sentenceOf(fact))
    case 'source-state':
      if (fact.state === 'running' || fact.state === 'standby') return well
      return ill(`source ${fact.source} is ${wordOf(fact.state)}${because(fact.failure)}`)
    case 'pipeline-state':
      // A pause is somebody's will.
      if (['running', 'loading', 'paused'].includes(fact.state)) return well
      return ill(`pipeline ${fact.pipeline} is ${wordOf(fact.state)}${because(fact.failure)}`)
    default:
      return undefined
  }
}

function sentenceOf({ group, seconds, failure }: Extract<Fact, { kind: 'canary' }>): string {
  const { pipeline } = partsOfGroup(group)
  return `${pipeline}: no search finds the canary, changed ${Math.round(seconds)} s ago${because(failure)}`
}

function wordOf(state: SourceState | PipelineState): string {
  return state === 'failed' ? 'out of order' : state
}

function because(failure: Failure | undefined): string {
  return failure === undefined ? '' : `: ${failure.message}`
}

function ill(reason: string): Condition {
  return { kind: 'ill', reason }
}
