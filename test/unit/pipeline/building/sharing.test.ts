import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Cache, Shelf } from '../../../../src/cache/cache.ts'
import { MemoryCache } from '../../../../src/cache/memory/memory-cache.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { Sharing } from '../../../../src/pipeline/building/sharing.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const never = new AbortController().signal
const shelf: Shelf = { name: 'weather', freshMs: 60_000, entriesMax: 100 }

type State = 'there' | 'away' | 'settling'

/** What processes share, as it is for one of them: it may be away, or let all keep to their own part. */
class Line implements Cache {
  state: State = 'there'
  readonly #cache: Cache

  constructor(cache: Cache) {
    this.#cache = cache
  }

  take(...request: Parameters<Cache['take']>): ReturnType<Cache['take']> {
    return this.state === 'settling'
      ? Promise.resolve(undefined)
      : this.#reached((cache) => cache.take(...request))
  }

  look(...request: Parameters<Cache['look']>): ReturnType<Cache['look']> {
    return this.#reached((cache) => cache.look(...request))
  }

  keep(...request: Parameters<Cache['keep']>): ReturnType<Cache['keep']> {
    return this.#reached((cache) => cache.keep(...request))
  }

  leave(...request: Parameters<Cache['leave']>): ReturnType<Cache['leave']> {
    return this.#reached((cache) => cache.leave(...request))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #reached<T>(call: (cache: Cache) => Promise<T>): Promise<T> {
    return this.state === 'away' ? Promise.reject(new Failure('transient', 'away')) : call(this.#cache)
  }
}

function processesOf(count: number) {
  const clock = new VirtualClock()
  const now = (): number => clock.now()
  const shared = new MemoryCache(now)
  const processes = Array.from({ length: count }, () => {
    const line = new Line(shared)
    const own = new MemoryCache(now)
    return { line, sharing: new Sharing({ shared: line, own, processes: count, clock }) }
  })
  return { clock, processes }
}

const perSecond = 10

test('together they never exceed a rate, whatever becomes of what they share', async () => {
  const states = fc.array(fc.constantFrom<State>('there', 'away', 'settling'), {
    minLength: 1,
    maxLength: 6,
  })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), states, async (count, phases) => {
      const { clock, processes } = processesOf(count)
      const ending = new AbortController()
      const uses: number[] = []
      const work = processes.map(async ({ sharing }) => {
        for (;;) {
          await sharing.keepPace({ name: 'requests', perSecond }, 1, ending.signal)
          uses.push(clock.now())
        }
      })
      for (const state of phases) {
        for (const { line } of processes) line.state = state
        await clock.advance(3000)
      }
      ending.abort(new Error('the end'))
      await Promise.allSettled(work)
      // Where they go over from one way to the other, each may have one use more.
      assert.ok(mostWithin(1000, uses) <= perSecond + count, `${mostWithin(1000, uses)} in a second`)
      assert.ok(uses.length >= (phases.length * 3000 * perSecond) / 1000 / 2, `only ${uses.length}`)
    }),
    { numRuns: 50 },
  )
})

test('a process that alone cannot reach the others keeps to its part', async () => {
  const { clock, processes } = processesOf(4)
  const [first] = processes
  assert.ok(first !== undefined)
  first.line.state = 'away'
  const begunMs = clock.now()
  for (let use = 0; use < 5; use++)
    await clock.until(first.sharing.keepPace({ name: 'requests', perSecond }, 1, never))
  assert.equal(clock.now() - begunMs, 4 * 4 * 100)
})

test('without a limit nobody waits, and nothing is asked of the others', async () => {
  const { processes } = processesOf(1)
  await processes[0]?.sharing.keepPace({ name: 'requests', perSecond: 0 }, 1, never)
})

test('what was answered is here too when the others cannot be reached', async () => {
  const { processes } = processesOf(2)
  const [one, other] = processes
  assert.ok(one !== undefined && other !== undefined)
  await one.sharing.keep(shelf, [{ question: 'a', answer: '1' }])
  const fresh = [{ kind: 'fresh', answer: '1' }]
  assert.deepEqual(await other.sharing.look(shelf, ['a'], 1000), fresh)
  one.line.state = other.line.state = 'away'
  assert.deepEqual(await one.sharing.look(shelf, ['a'], 1000), fresh)
  assert.deepEqual(await other.sharing.look(shelf, ['a'], 1000), [{ kind: 'ours' }])
  await other.sharing.leave(shelf, ['a'])
  assert.deepEqual(await other.sharing.look(shelf, ['a'], 1000), [{ kind: 'ours' }])
})

/** The most uses that lie within so many ms. */
function mostWithin(windowMs: number, atMs: readonly number[]): number {
  const sorted = atMs.toSorted((a, b) => a - b)
  return Math.max(...sorted.map((from, at) => sorted.slice(at).filter((to) => to < from + windowMs).length))
}
