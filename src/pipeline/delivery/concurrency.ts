/**
 * How many requests may be under way at a target: one more after each window of answers that shows no trouble, fewer where
 * it has no room, half where it refuses whole requests or does not answer.
 *
 * Not every refusal is our doing: where fewer requests are refused just as much (others load the target, or a share of
 * documents is always turned away), fewer only deliver less. So what got through per second is remembered for each number
 * of requests, and in trouble the best of what is known is chosen; what is not known any more is tried again now and then.
 */

export interface Answered {
  readonly items: number
  /** Of these, the target had no room for so many. */
  readonly busy: number
  readonly tookMs: number
}

export interface ConcurrencyLimits {
  /** Never more than this. */
  readonly max: number
  /** Requests that take longer than this on average are a sign of trouble too, ms. */
  readonly slowMs: number
}

interface Known {
  /** Items that got through, per ms. */
  readonly rate: number
  readonly window: number
}

export class Concurrency {
  readonly #limits: ConcurrencyLimits
  #limit: number
  #window = 0
  #requests = 0
  #passed = 0
  #busy = 0
  #tookMs = 0
  readonly #known = new Map<number, Known>()

  constructor(limits: ConcurrencyLimits) {
    this.#limits = limits
    this.#limit = limits.max
  }

  /** At least 1. */
  get limit(): number {
    return this.#limit
  }

  /** A request was answered. */
  answered({ items, busy, tookMs }: Answered): void {
    this.#requests++
    this.#passed += items - busy
    this.#busy += busy
    this.#tookMs += tookMs
    if (this.#requests < Math.max(requestsInWindow, 2 * this.#limit)) return
    const isTroubled = this.#busy > 0 || this.#tookMs / this.#requests > this.#limits.slowMs
    this.#known.set(this.#limit, {
      rate: (this.#limit * this.#passed) / Math.max(1, this.#tookMs),
      window: this.#window++,
    })
    this.#move(isTroubled ? this.#best() : this.#limit + 1)
  }

  /** A request was refused as a whole, or not answered. */
  refused(): void {
    this.#known.clear()
    this.#move(Math.floor(this.#limit / 2))
  }

  #move(wanted: number): void {
    this.#limit = Math.min(Math.max(1, wanted), this.#limits.max)
    this.#requests = this.#passed = this.#busy = this.#tookMs = 0
  }

  /** The fewest with which about the most gets through; what is not known is tried: fewer first. */
  #best(): number {
    const known = [...this.#known.keys()].filter((level) => this.#rate(level) !== undefined)
    const top = Math.max(...known.map((level) => this.#rate(level) ?? 0))
    const best = Math.min(...known.filter((level) => (this.#rate(level) ?? 0) >= top * aboutAsGood))
    let fewer = fewerThan(best)
    // Where much fewer do almost as much, all of them are too many: what is best of them by chance is not stayed with.
    while (fewer > 1 && (this.#rate(fewer) ?? 0) >= top * almostAsGood) fewer = fewerThan(fewer)
    const more = Math.min(best + 1, this.#limits.max)
    if (this.#rate(fewer) === undefined) return fewer
    return this.#rate(more) === undefined ? more : best
  }

  /** undefined = not known, or not any more. */
  #rate(level: number): number | undefined {
    const known = this.#known.get(level)
    return known === undefined || this.#window - known.window > windowsKnown ? undefined : known.rate
  }
}

function fewerThan(level: number): number {
  return Math.max(1, Math.floor(level * decrease))
}

const requestsInWindow = 6
const decrease = 0.75
/** Rates differ by chance: those of at least this share of the best count as equal. */
const aboutAsGood = 0.93
/** More than `decrease`: where each request gets the same through, fewer of them are not almost as good. */
const almostAsGood = 0.8
/** What was learnt so many windows ago is forgotten. */
const windowsKnown = 30
