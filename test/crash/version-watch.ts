/** Reads documents all the time and holds each one's version against the highest seen: none may ever go back. */
import { Random } from '../support/random.ts'

export class VersionWatch {
  readonly #server: string
  readonly #index: string
  readonly #ids: number
  readonly #random: Random
  readonly #highest = new Map<string, bigint>()
  readonly #stop = new AbortController()
  readonly violations: string[] = []
  #looks = 0
  #running: Promise<void> | undefined

  constructor(server: string, index: string, ids: number, seed: number) {
    this.#server = server
    this.#index = index
    this.#ids = ids
    this.#random = new Random(seed)
  }

  /** How many documents were looked at. */
  get looks(): number {
    return this.#looks
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look().catch(ignoreAbsence)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  async #look(): Promise<void> {
    const ids = Array.from({ length: 200 }, () => String(this.#random.below(this.#ids)))
    const response = await fetch(`${this.#server}/${this.#index}/_mget?_source=false`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ids }),
    })
    if (!response.ok) return
    // Versions are beyond 2^53: they are taken from the text.
    for (const [, id = '', version = ''] of (await response.text()).matchAll(
      /"_id":"(\d+)","_version":(\d+)/g,
    )) {
      this.#looks++
      const highest = this.#highest.get(id) ?? 0n
      const seen = BigInt(version)
      if (seen < highest) this.violations.push(`document ${id} went from version ${highest} back to ${seen}`)
      else this.#highest.set(id, seen)
    }
  }
}

/** The server may be away, or the index not made yet. */
function ignoreAbsence(error: unknown): void {
  if (!(error instanceof TypeError)) throw error
}
