/**
 * The one place that decides what a failure means for the part that met it.
 *
 *   category        what it is                                       what is done
 *   transient       no answer, or worth trying again                 waits; no attempt is counted
 *   overload        the other side has no room                       waits, asks for less; no attempt is counted
 *   document        one document can never be written as it is       dead letter; many alike stop the pipeline
 *   target          the target cannot take writes, or we no disk     waits until it is mended; no attempt is counted
 *   authorisation   credentials or grants                            waits until they are mended; no attempt is counted
 *   unknown         an error that says nothing of these, of one      again, and after so many attempts a dead letter
 *                   document while others are taken
 *   operator        only a person can decide                         stops
 */
import { Failure, type FailureKind } from '../change/failure.ts'

export type Category =
  | 'transient'
  | 'overload'
  | 'document'
  | 'target'
  | 'authorisation'
  | 'unknown'
  | 'operator'

export type Decision =
  /** The same again after the wait. */
  | { readonly kind: 'retry'; readonly waitMs: number }
  /** A person must do something; the failure says what. */
  | { readonly kind: 'stop' }

export interface Patience {
  /** No wait is longer. */
  readonly waitSecondsMax: number
  /** 0 to below 1: lets those who wait for the same thing come back one after the other. */
  readonly chance: number
}

interface Rule {
  readonly category: Category
  readonly isRetried: boolean
  /** Where the failure names none of its own. */
  readonly remedy: string
}

const rules: Readonly<Record<FailureKind, Rule>> = {
  transient: {
    category: 'transient',
    isRetried: true,
    remedy: 'none is needed while it passes by itself; if it stays, look whether the other side runs',
  },
  overload: {
    category: 'overload',
    isRetried: true,
    remedy: 'give the other side more room, or ask it for less: the limits in the settings',
  },
  target: {
    category: 'target',
    isRetried: true,
    remedy: 'mend the target; delivery goes on by itself',
  },
  unauthorised: {
    category: 'authorisation',
    isRetried: true,
    remedy: 'correct the credentials or the grants; delivery goes on by itself',
  },
  full: { category: 'target', isRetried: true, remedy: 'make room on the disk; work goes on by itself' },
  rejected: {
    category: 'document',
    isRetried: false,
    remedy: 'correct the rows or the mapping, then redrive the dead letters',
  },
  configuration: { category: 'operator', isRetried: false, remedy: 'correct the configuration' },
  unsupported: { category: 'operator', isRetried: false, remedy: 'see what the message names' },
  corrupt: { category: 'operator', isRetried: false, remedy: 'restore what is damaged' },
  lost: { category: 'operator', isRetried: false, remedy: 'run with --reload' },
  conflict: { category: 'operator', isRetried: false, remedy: 'stop whoever else writes' },
}

const plain: Patience = { waitSecondsMax: 30, chance: 0.5 }
/** Waits are longer or shorter by at most this share. */
const jitter = 0.1

/** `attempt` counts from 1. Waits follow Fibonacci: 1, 1, 2, 3, 5 ... 30 seconds, about. */
export function decide(failure: Failure, attempt: number, patience: Patience = plain): Decision {
  return rules[failure.kind].isRetried
    ? { kind: 'retry', waitMs: waitMsOf(attempt, patience) }
    : { kind: 'stop' }
}

/** 1000, 1000, 2000, 3000 ... ms, about: how long to wait after so many attempts. */
export function waitMsOf(attempt: number, { waitSecondsMax, chance }: Patience): number {
  const seconds = Math.min(fibonacci(attempt, waitSecondsMax), waitSecondsMax)
  return Math.round(seconds * 1000 * (1 - jitter + 2 * jitter * chance))
}

export function categoryOf({ kind }: Failure): Category {
  return rules[kind].category
}

/** What a person can do about it. */
export function remedyOf({ kind, remedy }: Failure): string {
  return remedy ?? rules[kind].remedy
}

/** An operating error as it is; anything else is a bug and goes on as such. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  throw error
}

function fibonacci(attempt: number, max: number): number {
  let [before, wait] = [0, 1]
  for (let step = 1; step < attempt && wait < max; step++) [before, wait] = [wait, before + wait]
  return wait
}
