/**
 * Work for very many roots, noted with the progress of those who derive it, so that it goes on after a crash where it was:
 * which rows are being left by which ascent, and how far. What comes up again while it is being done is begun anew when it
 * ends.
 */
import type { Climb } from './climb.ts'

interface FanOut {
  climb: Climb
  /** It came up again since it was begun. */
  again: boolean
  /** What began it; a climb in pages keeps it. */
  readonly name: string
}

/** So many may wait; beyond it nothing more is derived until one is done. */
const waitingMax = 64

export class FanOuts {
  readonly #waiting: FanOut[]

  /** `text`: what `text()` gave. */
  constructor(text: string | undefined) {
    this.#waiting = text === undefined ? [] : (JSON.parse(text) as FanOut[])
  }

  get count(): number {
    return this.#waiting.length
  }

  get isFull(): boolean {
    return this.#waiting.length >= waitingMax
  }

  /** Notes work; false = it is being done already and will be done once more. */
  add(climb: Climb): boolean {
    const name = nameOf(climb)
    const known = this.#waiting.find((each) => each.name === name)
    if (known === undefined) this.#waiting.push({ climb, again: false, name })
    else known.again = true
    return known === undefined
  }

  /** Whether work on all of these values is noted, which is to be done once more then. */
  repeats(climb: Climb): boolean {
    const known = this.#waiting.find((each) => each.name === nameOf(climb))
    if (known !== undefined) known.again = true
    return known !== undefined
  }

  /** The next piece of work. */
  first(): Climb | undefined {
    return this.#waiting[0]?.climb
  }

  /** The first piece was done, all but `rest`; the others come next. */
  advance(rest: readonly Climb[]): void {
    const done = this.#waiting.shift()
    if (done === undefined) return
    const same = rest.find((climb) => nameOf(climb) === done.name)
    const { ascent, values } = done.climb
    if (same !== undefined) this.#waiting.push({ ...done, climb: same })
    else if (done.again) this.#waiting.push({ climb: { ascent, values }, again: false, name: done.name })
    for (const climb of rest) if (climb !== same) this.add(climb)
  }

  text(): string {
    return JSON.stringify(this.#waiting)
  }
}

function nameOf({ ascent, values }: Climb): string {
  return JSON.stringify([ascent, values])
}
