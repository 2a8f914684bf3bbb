/** The one place that decides what a failure means for the part that met it. */
import { Failure, type FailureKind } from '../change/failure.ts'

export type Decision =
  /** The same again after the wait. */
  | { readonly kind: 'retry'; readonly waitMs: number }
  /** A person must do something; the failure says what. */
  | { readonly kind: 'stop' }

const waitSecondsMax = 30

const retried: Readonly<Record<FailureKind, boolean>> = {
  transient: true,
  overload: true,
  target: true,
  unauthorised: true,
  full: true,
  rejected: false,
  configuration: false,
  unsupported: false,
  corrupt: false,
  lost: false,
  conflict: false,
}

/** `attempt` counts from 1. Waits follow Fibonacci: 1, 1, 2, 3, 5 ... 30 seconds. */
export function decide(failure: Failure, attempt: number): Decision {
  return retried[failure.kind]
    ? { kind: 'retry', waitMs: fibonacciSeconds(attempt) * 1000 }
    : { kind: 'stop' }
}

/** An operating error as it is; anything else is a bug and goes on as such. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  throw error
}

function fibonacciSeconds(attempt: number): number {
  let [before, wait] = [0, 1]
  for (let step = 1; step < attempt && wait < waitSecondsMax; step++) [before, wait] = [wait, before + wait]
  return Math.min(wait, waitSecondsMax)
}
