/** Where documents get what their rows do not have: a service, another database, a module of the user's. */

/** The values that are asked with, by parameter, each as JSON text. */
export type Question = Readonly<Record<string, string>>

/** JSON text; undefined = the upstream knows nothing of what was asked for. */
export type Answer = string | undefined

export interface Upstream {
  /** How many questions one call may bring. */
  readonly questionsMax: number
  /**
   * One request: one answer for each question, in order. Throws a Failure: `transient` and `overload` (the same may work
   * later), `unauthorised`, `configuration` (a person must change something), `rejected` (this will never be answered).
   * It does not try again by itself.
   */
  ask(questions: readonly Question[], signal: AbortSignal): Promise<readonly Answer[]>
  close(): Promise<void>
}
