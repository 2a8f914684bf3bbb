/** Time and chance come in through here, so that a simulation can own them. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Resolves after so many milliseconds, or rejects with the signal's reason when it aborts. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>
  /** 0 to below 1. */
  random(): number
}
