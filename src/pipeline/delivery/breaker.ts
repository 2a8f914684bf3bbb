/**
 * Notices when a pipeline's documents fail alike: then something is wrong with all of them, and going on would only fill
 * the place of dead letters.
 */
export interface BreakerLimits {
  /** Open when at least so many newly failed alike ... */
  readonly count: number
  /** ... and they are at least this share of all documents of late; above 0, up to 1. */
  readonly share: number
}

/** So many documents are remembered; then half of what is known is forgotten. */
const documentsMax = 2000

export class Breaker {
  readonly #limits: BreakerLimits
  readonly #refused = new Map<string, number>()
  #documents = 0

  constructor(limits: BreakerLimits) {
    this.#limits = limits
  }

  /** So many documents were written. */
  passed(documents: number): void {
    this.#add(documents)
  }

  /** A document failed that had not failed before. */
  refused(fingerprint: string): void {
    this.#add(1)
    this.#refused.set(fingerprint, (this.#refused.get(fingerprint) ?? 0) + 1)
  }

  /** What too many share; undefined = all is well. */
  get open(): { readonly fingerprint: string; readonly refused: number; readonly of: number } | undefined {
    for (const [fingerprint, refused] of this.#refused) {
      if (refused >= this.#limits.count && refused >= this.#documents * this.#limits.share)
        return { fingerprint, refused, of: this.#documents }
    }
    return undefined
  }

  #add(documents: number): void {
    this.#documents += documents
    if (this.#documents <= documentsMax) return
    const factor = documentsMax / 2 / this.#documents
    this.#documents *= factor
    for (const [fingerprint, refused] of this.#refused) {
      if (refused * factor < 1) this.#refused.delete(fingerprint)
      else this.#refused.set(fingerprint, refused * factor)
    }
  }
}
