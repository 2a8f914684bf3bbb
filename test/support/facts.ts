/** An observer that remembers: tests wait for what it was told, never for time. */
import type { Fact, Observe } from '../../src/pipeline/facts.ts'

export type FactOf<Kind extends Fact['kind']> = Extract<Fact, { kind: Kind }>

interface Waiting {
  readonly matches: (fact: Fact) => boolean
  readonly resolve: (fact: Fact) => void
}

export class Facts {
  readonly all: Fact[] = []
  #waiting: Waiting[] = []

  readonly observe: Observe = (fact) => {
    this.all.push(fact)
    const met = this.#waiting.filter((waiting) => waiting.matches(fact))
    this.#waiting = this.#waiting.filter((waiting) => !met.includes(waiting))
    for (const { resolve } of met) resolve(fact)
  }

  /** All of a kind so far, oldest first. */
  of<Kind extends Fact['kind']>(kind: Kind): FactOf<Kind>[] {
    return this.all.filter((fact): fact is FactOf<Kind> => fact.kind === kind)
  }

  /** The first of a kind that matches, past or to come. */
  until<Kind extends Fact['kind']>(
    kind: Kind,
    matches: (fact: FactOf<Kind>) => boolean = () => true,
  ): Promise<FactOf<Kind>> {
    const known = this.of(kind).find(matches)
    if (known !== undefined) return Promise.resolve(known)
    const isMet = (fact: Fact): boolean => fact.kind === kind && matches(fact as FactOf<Kind>)
    return new Promise((resolve) => {
      this.#waiting.push({ matches: isMet, resolve: (fact) => resolve(fact as FactOf<Kind>) })
    })
  }
}
