/** How far a replay is, as the store keeps it: one for each pipeline, or pipeline and target, the last one. */
import type { Key, Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { KeyPart } from './replay-keys.ts'

export interface ReplayState {
  readonly source: string
  /** `PIPELINE`, for every target, or `PIPELINE@TARGET`. */
  readonly addressee: string
  readonly table: string
  /** Of the log whose offsets these are. */
  readonly lineage: string
  readonly from: Offset
  /** The records before this offset count. */
  readonly to: Offset
  /** 0 = no limit. */
  readonly keysPerSecond: number
  /** Of these keys alone. */
  readonly only?: readonly Key[]
  readonly phase: 'touching' | 'delivering' | 'done' | 'cancelled' | 'failed'
  /** What is still to be touched; the first is under way. */
  readonly parts: readonly KeyPart[]
  /** 0 = not counted yet. */
  readonly keysInPart: number
  readonly touchedInPart: number
  readonly touched: number
  /** Records of joined tables before it have been followed to their roots; absent = the pipeline joins none. */
  readonly followed?: Offset
  /** Who has passed this has delivered them. */
  readonly until: Offset
  /** Statements in the stretch that changed rows without naming them: what they removed, a replay does not know. */
  readonly barriers: readonly string[]
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly failure: string | null
}

/** A state and the revision that it has in the store. */
export interface KeptReplay {
  readonly state: ReplayState
  readonly revision: number
}

export function isUnderWay({ phase }: ReplayState): boolean {
  return phase === 'touching' || phase === 'delivering'
}

/** How much of it is touched, 0 to 1, as far as that is known. */
export function shareTouched(state: ReplayState): number {
  const { followed, from, to } = state
  if (followed === undefined) return shareOfKeys(state)
  return (shareOfKeys(state) + (to === from ? 1 : (followed - from) / (to - from))) / 2
}

function shareOfKeys({ parts, keysInPart, touchedInPart }: ReplayState): number {
  const [first, ...others] = parts
  const waiting = others.reduce((sum, { modulus }) => sum + 1 / modulus, 0)
  const current = first === undefined ? 0 : (1 - touchedInPart / Math.max(1, keysInPart)) / first.modulus
  return Math.max(0, 1 - waiting - current)
}

const listMax = 1000

export class ReplayStates {
  readonly #store: Pick<Store, 'get' | 'put' | 'list'>
  readonly #source: string

  constructor(store: Pick<Store, 'get' | 'put' | 'list'>, source: string) {
    this.#store = store
    this.#source = source
  }

  async all(): Promise<readonly KeptReplay[]> {
    const found = await this.#store.list(this.#name(''), undefined, listMax)
    return found.map(keptOf)
  }

  async of(addressee: string): Promise<KeptReplay | undefined> {
    const stored = await this.#store.get(this.#name(addressee))
    return stored === undefined ? undefined : keptOf(stored)
  }

  /** Throws a Failure of kind `conflict` where one of the same addressee is under way. */
  async begin(state: ReplayState): Promise<void> {
    const before = await this.of(state.addressee)
    const isBusy = before !== undefined && isUnderWay(before.state)
    if (!isBusy && (await this.#put(state, before?.revision ?? 0)) !== undefined) return
    throw new Failure('conflict', `a replay of ${state.addressee} is under way`, {
      remedy: `wait until it ends, or end it: millrace replay ${state.addressee} --cancel`,
    })
  }

  /** undefined = somebody else has changed it. */
  async save(state: ReplayState, { revision }: KeptReplay): Promise<KeptReplay | undefined> {
    const stored = await this.#put(state, revision)
    return stored === undefined ? undefined : keptOf(stored)
  }

  /** False = there was none to be cancelled. */
  async cancel(addressee: string, nowMs: number): Promise<boolean> {
    for (;;) {
      const kept = await this.of(addressee)
      if (kept === undefined || !isUnderWay(kept.state)) return false
      const state: ReplayState = { ...kept.state, phase: 'cancelled', endedAtMs: nowMs }
      if ((await this.save(state, kept)) !== undefined) return true
    }
  }

  #put(state: ReplayState, revision: number): Promise<Stored | undefined> {
    return this.#store.put(this.#name(state.addressee), JSON.stringify(state), revision)
  }

  #name(addressee: string): string {
    return `replay:${this.#source}:${addressee}`
  }
}

function keptOf({ value, revision }: Stored): KeptReplay {
  return { state: JSON.parse(value) as ReplayState, revision }
}
