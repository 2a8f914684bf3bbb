import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../src/change/failure.ts'
import type { Fact } from '../../../src/pipeline/facts.ts'
import { Lease, leaseHolder } from '../../../src/pipeline/lease.ts'
import type { Store } from '../../../src/store/store.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { Random } from '../../support/random.ts'
import { settled, VirtualClock } from '../../support/virtual-clock.ts'

const termMs = 15_000

function leaseOf(
  clock: VirtualClock,
  store: Pick<Store, 'get' | 'put'>,
  owner: string,
  facts: Fact[] = [],
): Lease {
  const observe = (fact: Fact): void => void facts.push(fact)
  return new Lease({
    name: 'capture:main',
    owner,
    store,
    clock,
    termMs,
    observe,
  })
}

/** Works until told to end. */
function working(log: string[], owner: string) {
  return async (token: number, ending: AbortSignal): Promise<void> => {
    log.push(`${owner} ${token}`)
    await new Promise<void>((resolve) => {
      ending.addEventListener('abort', () => resolve(), { once: true })
    })
    log.push(`${owner} ends`)
  }
}

test('of two who ask, one works; when it gives the lease back, the other follows at once', async () => {
  const clock = new VirtualClock()
  const store = new MemoryStore()
  const log: string[] = []
  const [first, second] = [new AbortController(), new AbortController()]
  const one = leaseOf(clock, store, 'one').hold(working(log, 'one'), first.signal)
  await settled()
  const other = leaseOf(clock, store, 'other').hold(working(log, 'other'), second.signal)
  await clock.advance(10 * termMs)
  assert.deepEqual(log, ['one 1'])
  assert.equal((await leaseHolder(store, 'capture:main'))?.owner, 'one')
  first.abort()
  await clock.until(one)
  await clock.advance(termMs / 3)
  assert.deepEqual(log, ['one 1', 'one ends', 'other 2'])
  second.abort()
  await clock.until(other)
  assert.equal((await leaseHolder(store, 'capture:main'))?.owner, null)
})

test('an owner that cannot reach the store stops before the term ends, and the other follows after it', async () => {
  const clock = new VirtualClock()
  const store = new MemoryStore()
  const log: string[] = []
  let isAway = false
  const away: Pick<Store, 'get' | 'put'> = {
    get: (name) => (isAway ? Promise.reject(new Failure('transient', 'away')) : store.get(name)),
    put: (...put) => (isAway ? Promise.reject(new Failure('transient', 'away')) : store.put(...put)),
  }
  const stop = new AbortController()
  const facts: Fact[] = []
  const one = leaseOf(clock, away, 'one', facts).hold(working(log, 'one'), stop.signal)
  await settled()
  const other = leaseOf(clock, store, 'other').hold(working(log, 'other'), stop.signal)
  await clock.advance(termMs)
  isAway = true
  const lost = assert.rejects(one, (error) => error instanceof Failure && error.kind === 'transient')
  await clock.advance((termMs * 2) / 3)
  assert.deepEqual(log, ['one 1', 'one ends'])
  await lost
  assert.deepEqual(
    facts.map((fact) => fact.kind === 'lease' && fact.state),
    ['held', 'lost'],
  )
  await clock.advance(termMs)
  assert.deepEqual(log, ['one 1', 'one ends', 'other 2'])
  stop.abort()
  await clock.until(other)
})

test('work that ends with the reason of its signal has lost its lease like any other; what else it throws is thrown on', async () => {
  const endings = [
    (ending: AbortSignal): unknown => ending.reason,
    () => new DOMException('aborted by a timer', 'AbortError'),
    () => new TypeError('a bug'),
  ]
  const thrown: unknown[] = []
  for (const errorOf of endings) {
    const clock = new VirtualClock()
    const store = new MemoryStore()
    const lease = leaseOf(clock, store, 'one')
    const held = lease.hold(async (_, ending) => {
      const { promise, reject } = Promise.withResolvers<void>()
      ending.addEventListener('abort', () => reject(errorOf(ending)), { once: true })
      await promise
    }, new AbortController().signal)
    held.catch((error: unknown) => thrown.push(error))
    await settled()
    const stored = await store.get('lease:capture:main')
    await store.put(
      'lease:capture:main',
      JSON.stringify({ owner: 'other', token: 2, termMs, sinceMs: 0 }),
      stored?.revision ?? 0,
    )
    await clock.advance(termMs)
  }
  const kinds = thrown.map((error) => (error instanceof Failure ? error.kind : (error as Error).message))
  assert.deepEqual(kinds, ['transient', 'transient', 'a bug'])
})

test('a renewal that is answered too late does not keep a lease', async () => {
  const clock = new VirtualClock()
  const store = new MemoryStore()
  const log: string[] = []
  let isSlow = false
  const slow: Pick<Store, 'get' | 'put'> = {
    get: (name) => store.get(name),
    put: async (...put) => {
      if (isSlow) await clock.sleep(10 * termMs, new AbortController().signal)
      return await store.put(...put)
    },
  }
  const stop = new AbortController()
  const one = leaseOf(clock, slow, 'one').hold(working(log, 'one'), stop.signal)
  await settled()
  isSlow = true
  const lost = assert.rejects(one, Failure)
  await clock.advance(termMs)
  assert.deepEqual(log, ['one 1', 'one ends'])
  await clock.advance(10 * termMs)
  await lost
})

test('a wall clock that jumps moves no lease', async () => {
  const clock = new VirtualClock()
  const store = new MemoryStore()
  const log: string[] = []
  const stop = new AbortController()
  const jumping = {
    now: () => clock.now() + (log.length % 2) * 86_400_000,
    elapsed: () => clock.elapsed(),
    random: () => 0.5,
  }
  const ask = (owner: string): Promise<void> =>
    new Lease({
      name: 'capture:main',
      owner,
      store,
      clock: { ...jumping, sleep: (durationMs, signal) => clock.sleep(durationMs, signal) },
      termMs,
      observe: () => {},
    }).hold(working(log, owner), stop.signal)
  const one = ask('one')
  await settled()
  const other = ask('other')
  await clock.advance(20 * termMs)
  assert.deepEqual(log, ['one 1'])
  stop.abort()
  await clock.until(Promise.all([one, other]))
})

/** A process that can be stopped and go on, with a way to the store that is slow, and breaks before or after the deed. */
class Process {
  readonly name: string
  readonly world: World
  isWorking = false
  token = 0
  /** Was stopped while it worked: it may go on for a moment when it wakes, and is refused by its token. */
  isZombie = false
  /** Until when it is stopped. */
  asleepUntilMs = 0

  constructor(name: string, world: World) {
    this.name = name
    this.world = world
  }

  get isStopped(): boolean {
    return this.world.clock.now() < this.asleepUntilMs
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.world
    for (let start = 1; !signal.aborted; start++) {
      const lease = new Lease({
        name: 'capture:main',
        owner: `${this.name}-${start}`,
        store: {
          get: (name) => this.#ask(() => this.world.store.get(name)),
          put: (...put) => this.#ask(() => this.world.store.put(...put)),
        },
        clock: {
          now: () => clock.now(),
          elapsed: () => clock.elapsed(),
          random: () => clock.random(),
          sleep: (ms, ending) => this.#sleep(ms, ending),
        },
        termMs,
        observe: () => {},
      })
      await lease
        .hold((token, ending) => this.#work(token, ending), signal)
        .catch((error: unknown) => {
          assert.ok(error instanceof Failure, String(error))
        })
      await this.#sleep(1000, signal).catch(() => undefined)
    }
  }

  async #work(token: number, ending: AbortSignal): Promise<void> {
    this.isWorking = true
    this.isZombie = false
    this.token = token
    this.world.begun(this)
    while (!ending.aborted) {
      await this.#sleep(this.world.random.below(2000) + 1, ending).catch(() => undefined)
      if (!ending.aborted) this.world.write(this)
      if (this.world.random.below(40) === 0) break
    }
    // What is under way may take a while to end, in the rest of the term.
    await this.#sleep(this.world.random.below(termMs / 4), new AbortController().signal)
    this.isWorking = false
  }

  /** A stopped process wakes late. */
  async #sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    await this.world.clock.sleep(durationMs, signal)
    await this.#awake()
  }

  async #awake(): Promise<void> {
    const { clock } = this.world
    while (this.isStopped) await clock.sleep(this.asleepUntilMs - clock.now(), new AbortController().signal)
  }

  async #ask<T>(deed: () => Promise<T>): Promise<T> {
    const { clock, random } = this.world
    const never = new AbortController().signal
    await clock.sleep(random.below(random.below(10) === 0 ? termMs : 200), never)
    const breaks = this.world.isSound ? 9 : random.below(10)
    if (breaks === 0) throw new Failure('transient', 'not sent')
    const answer = await deed()
    await clock.sleep(random.below(200), never)
    await this.#awake()
    if (breaks === 1) throw new Failure('transient', 'not answered')
    return answer
  }
}

class World {
  readonly clock: VirtualClock
  readonly store = new MemoryStore()
  readonly random: Random
  readonly processes: readonly Process[]
  isSound = false
  tokens: number[] = []
  writes = 0
  refused = 0

  constructor(seed: number, count: number) {
    this.clock = new VirtualClock(seed)
    this.random = new Random(seed)
    this.processes = Array.from({ length: count }, (_, at) => new Process(`process${at}`, this))
  }

  begun(process: Process): void {
    assert.ok(process.token > (this.tokens.at(-1) ?? 0), `token ${process.token} after ${this.tokens.at(-1)}`)
    this.tokens.push(process.token)
    for (const other of this.processes) {
      if (other === process || other.isZombie) continue
      assert.ok(!other.isWorking, `${other.name} and ${process.name} work at the same time`)
    }
  }

  /** What is fenced takes the newest token alone. */
  write(process: Process): void {
    if (process.token === this.tokens.at(-1)) this.writes++
    else this.refused++
  }
}

test('never do two work at a time, unless one is stopped; with every owner the token rises; someone always follows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      fc.integer({ min: 1, max: 4 }),
      async (seed, count) => {
        const world = new World(seed, count)
        const stop = new AbortController()
        const running = Promise.all(world.processes.map((process) => process.run(stop.signal)))
        for (let step = 0; step < 60; step++) {
          await world.clock.advance(world.random.below(termMs))
          const process = world.processes[world.random.below(count)]
          if (process !== undefined && world.random.below(4) === 0) {
            process.isZombie = process.isWorking
            process.asleepUntilMs = world.clock.now() + world.random.below(4 * termMs)
          }
        }
        world.isSound = true
        await world.clock.advance(8 * termMs)
        const writes = world.writes
        await world.clock.advance(8 * termMs)
        assert.ok(world.writes > writes, 'nobody works')
        stop.abort()
        await world.clock.until(running)
      },
    ),
    { numRuns: 60 },
  )
})
