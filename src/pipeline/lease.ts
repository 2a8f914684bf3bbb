/**
 * One owner at a time of a named thing, over the store. Clocks of different machines are never compared: whoever waits
 * takes a lease over when its record has not changed for the whole term by the waiter's own clock; whoever owns it counts
 * the term from before it asked for a renewal, and stops well before it ends.
 *
 *   owner    ask ── renewed ─────────▶ stop working │ rest: work ends
 *                                     (two thirds)  │(a third)
 *   waiter          ...  sees the record ──────── the whole term ────────▶ may take it over
 *
 * A process that was stopped and goes on finds out when its next timer is due; until then only what it writes to can tell,
 * by the token, or by fencing of its own.
 */
import assert from 'node:assert/strict'
import { Failure } from '../change/failure.ts'
import type { Store, Stored } from '../store/store.ts'
import type { Clock } from './clock.ts'
import type { Observe } from './facts.ts'
import { decide, failureOf } from './retry-policy.ts'

export interface LeaseParts {
  /** `capture:SOURCE` */
  readonly name: string
  /** Who asks: another name at each start, wherever that is. */
  readonly owner: string
  readonly store: Pick<Store, 'get' | 'put'>
  readonly clock: Clock
  /** The term, ms. All who ask for one lease should have the same. */
  readonly termMs: number
  readonly observe: Observe
}

export interface LeaseHolder {
  /** null = it was given back. */
  readonly owner: string | null
  /** One more with each owner: what is fenced refuses lower ones. */
  readonly token: number
  readonly termMs: number
  /** By the owner's clock, for people. */
  readonly sinceMs: number
}

export class Lease {
  readonly #parts: LeaseParts
  /** The record as it was seen last, and since when it is seen unchanged. */
  #seen: { readonly revision: number; readonly sinceMs: number } | undefined

  constructor(parts: LeaseParts) {
    this.#parts = parts
  }

  /**
   * Waits until the lease is ours, then works under it. Returns when the work does or the signal aborts. When the lease is
   * lost, the work's signal aborts, and when the work has ended a Failure of kind `transient` is thrown.
   */
  async hold(
    work: (token: number, ending: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, owner, observe } = this.#parts
    const held = await this.#acquire(signal)
    if (held === undefined) return
    observe({ kind: 'lease', lease: name, state: 'held', owner, token: held.token })
    const over = new AbortController()
    const ending = AbortSignal.any([signal, over.signal])
    const keeping = this.#keep(held, over)
    try {
      await work(held.token, ending)
    } catch (error) {
      // That its signal aborted is what the work was told; why is told below.
      if (!held.isLost || !isAbort(error)) throw error
    } finally {
      const isLost = over.signal.aborted
      over.abort()
      await keeping
      if (!isLost) await this.#giveBack(held)
      observe({ kind: 'lease', lease: name, state: isLost ? 'lost' : 'released', owner, token: held.token })
    }
    if (held.isLost)
      throw new Failure('transient', `the lease ${name} was not renewed in time, or went to another process`)
  }

  async #acquire(signal: AbortSignal): Promise<Held | undefined> {
    const { clock, observe, name, termMs } = this.#parts
    let told: string | undefined
    while (!signal.aborted) {
      const taken = await this.#take()
      // What was granted too late to be used is asked for again.
      if (taken instanceof Held && this.#leftMs(taken) > 0) return taken
      if (taken instanceof Held) continue
      if (taken.owner !== null && taken.owner !== told) {
        told = taken.owner
        observe({ kind: 'lease', lease: name, state: 'waiting', owner: told, token: taken.token })
      }
      await clock.sleep(Math.ceil((termMs / 6) * (1 + clock.random())), signal).catch(() => undefined)
    }
    return undefined
  }

  /** Ours, or whose it is. */
  async #take(): Promise<Held | LeaseHolder> {
    const { store, name, owner, termMs, clock } = this.#parts
    const stored = await store.get(leaseName(name))
    const holder = stored === undefined ? undefined : holderOf(stored)
    if (stored !== undefined && holder !== undefined && !this.#isFree(stored, holder)) return holder
    const askedAtMs = clock.elapsed()
    const next = { owner, token: (holder?.token ?? 0) + 1, termMs, sinceMs: clock.now() }
    const written = await store.put(leaseName(name), JSON.stringify(next), stored?.revision ?? 0)
    if (written === undefined) return holder ?? { ...next, owner: null }
    return new Held(next, written.revision, askedAtMs)
  }

  /** Given back, or not renewed for its whole term while we looked on, or left from an answer that never reached us. */
  #isFree({ revision }: Stored, { owner, termMs }: LeaseHolder): boolean {
    const nowMs = this.#parts.clock.elapsed()
    if (this.#seen?.revision !== revision) this.#seen = { revision, sinceMs: nowMs }
    if (owner === null || owner === this.#parts.owner) return true
    return nowMs - this.#seen.sinceMs >= Math.max(termMs, this.#parts.termMs)
  }

  /** Renews until the lease is over. Its own end is watched apart, because a renewal may take longer than that. */
  async #keep(held: Held, over: AbortController): Promise<void> {
    const lose = (): void => {
      if (over.signal.aborted) return
      held.isLost = true
      over.abort()
    }
    await Promise.all([this.#renew(held, lose, over.signal), this.#watch(held, lose, over.signal)])
  }

  async #renew(held: Held, lose: () => void, signal: AbortSignal): Promise<void> {
    const { clock, termMs } = this.#parts
    while (!signal.aborted) {
      await clock.sleep(Math.ceil(termMs / 6), signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        if (!(await this.#ask(held))) lose()
      } catch (error) {
        if (decide(failureOf(error), 1).kind === 'stop') lose()
      }
    }
  }

  /** Asks for a renewal; false = it is another's. */
  async #ask(held: Held): Promise<boolean> {
    const { store, name, clock } = this.#parts
    const askedAtMs = clock.elapsed()
    const written = await store.put(leaseName(name), JSON.stringify(held.holder), held.revision)
    if (written === undefined) {
      // Another's, or our own renewal whose answer never came: then nobody knows when it was carried out.
      const stored = await store.get(leaseName(name))
      if (stored === undefined || !held.isSame(holderOf(stored))) return false
      held.revision = stored.revision
    } else held.renewed(written.revision, askedAtMs)
    return true
  }

  async #watch(held: Held, lose: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const leftMs = this.#leftMs(held)
      if (leftMs <= 0) return lose()
      await this.#parts.clock.sleep(Math.ceil(leftMs), signal).catch(() => undefined)
    }
  }

  /** How long we may still work: the rest of the term is for ending. */
  #leftMs({ askedAtMs }: Held): number {
    const { termMs, clock } = this.#parts
    return askedAtMs + (termMs * 2) / 3 - clock.elapsed()
  }

  /** So that nobody has to wait for the term. What cannot be given back ends by itself. */
  async #giveBack(held: Held): Promise<void> {
    const { store, name } = this.#parts
    try {
      await store.put(leaseName(name), JSON.stringify({ ...held.holder, owner: null }), held.revision)
    } catch (error) {
      failureOf(error)
    }
  }
}

/** Who holds a lease, as far as the store knows; undefined = nobody ever did. */
export async function leaseHolder(store: Pick<Store, 'get'>, name: string): Promise<LeaseHolder | undefined> {
  const stored = await store.get(leaseName(name))
  return stored === undefined ? undefined : holderOf(stored)
}

class Held {
  readonly holder: LeaseHolder
  revision: number
  /** When we asked for the last renewal that was granted. */
  askedAtMs: number
  isLost = false

  constructor(holder: LeaseHolder, revision: number, askedAtMs: number) {
    this.holder = holder
    this.revision = revision
    this.askedAtMs = askedAtMs
  }

  get token(): number {
    return this.holder.token
  }

  renewed(revision: number, askedAtMs: number): void {
    assert(askedAtMs >= this.askedAtMs, 'terms never go back')
    this.revision = revision
    this.askedAtMs = askedAtMs
  }

  isSame({ owner, token }: LeaseHolder): boolean {
    return owner === this.holder.owner && token === this.holder.token
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function leaseName(name: string): string {
  return `lease:${name}`
}

function holderOf({ value }: Stored): LeaseHolder {
  return JSON.parse(value) as LeaseHolder
}
