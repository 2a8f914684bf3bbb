/** Time and chance come in through here, so that a simulation can own them. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds since any moment, for what lasts or waits so long: it goes on evenly where somebody sets the clock. */
  elapsed(): number
  /** Resolves after so many milliseconds, or rejects with the signal's reason when it aborts. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>
  /** 0 to below 1. */
  random(): number
}
