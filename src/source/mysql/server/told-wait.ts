/** A wait that lasts is told, and told again, until it is over: what hangs must not look like what is quiet. */
import type { Failure } from '../../../change/failure.ts'

const firstAfterMs = 500
const againAfterMs = 5_000

export class ToldWait implements Disposable {
  readonly #tell: (why: Failure) => void
  #why: Failure
  #timer: NodeJS.Timeout

  /** `why` may become another reason while the wait lasts. */
  constructor(why: Failure, tell: (why: Failure) => void) {
    this.#why = why
    this.#tell = tell
    this.#timer = this.#after(firstAfterMs)
  }

  set why(why: Failure) {
    this.#why = why
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }

  #after(waitMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = this.#after(againAfterMs)
      this.#tell(this.#why)
    }, waitMs)
  }
}
