import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Key } from '../../../../src/change/change.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { childChanges } from '../../../../src/document/child-changes.ts'
import { Pace } from '../../../../src/pipeline/pace.ts'
import { everyKey, gatherKeys, type KeyPart } from '../../../../src/pipeline/replay/replay-keys.ts'
import { Replays, type ReplayLimits } from '../../../../src/pipeline/replay/replay.ts'
import { ReplayStates, shareTouched, type ReplayState } from '../../../../src/pipeline/replay/replay-state.ts'
import { RootSearch } from '../../../../src/pipeline/deriving/root-search.ts'
import { Turnstile } from '../../../../src/pipeline/building/turnstile.ts'
import { CaptureSubject, group, table } from '../../../support/capture-subject.ts'
import { deleteOf, insertOf, keyFor, Numbering, testTable, updateOf } from '../../../support/changes.ts'
import { child, root } from '../../../support/joined-definition.ts'
import { MemoryLog, MemoryLogContents } from '../../../support/memory-log.ts'
import { MemoryStore } from '../../../support/memory-store.ts'

const orders = testTable('shop.orders')
const notes = testTable('shop.notes')

test('of a stretch every key is found once, in any number of parts, and none of other tables or groups', async () => {
  const anyId = fc.integer({ min: 1, max: 60 })
  const anyOp = fc.constantFrom('insert', 'update', 'delete', 'note', 'foreign')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyOp, anyId), { maxLength: 120 }),
      fc.integer({ min: 1, max: 20 }),
      fc.tuple(fc.nat(130), fc.nat(130)),
      fc.option(fc.array(anyId), { nil: undefined }),
      async (writes, keysMax, [from, length], ids) => {
        const log = new MemoryLog(new MemoryLogContents(), () => 0)
        await log.tail()
        const numbering = new Numbering(2)
        const only = ids === undefined ? undefined : new Set(ids.map(keyFor))
        const expected = new Set<Key>()
        for (const [offset, [op, id]] of writes.entries()) {
          const isWanted = offset >= from && offset < from + length && op !== 'note' && op !== 'foreign'
          if (isWanted && only?.has(keyFor(id)) !== false) expected.add(keyFor(id))
          const change = {
            insert: insertOf(orders, id),
            update: updateOf(orders, id, 'x'),
            delete: deleteOf(orders, id),
            note: insertOf(notes, id),
            foreign: insertOf(orders, id),
          }[op]
          await log.append({
            ...numbering.batch([change]),
            addressee: op === 'foreign' ? 'other@main' : undefined,
          })
        }
        const stretch = { from, to: from + length, table: orders, groups: ['orders@main'], only }
        const found: Key[] = []
        const waiting: KeyPart[] = [everyKey]
        for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
          const gathered = await gatherKeys(log, stretch, { part, keysMax })
          assert.ok(gathered.keys.size <= keysMax)
          found.push(...gathered.keys)
          waiting.unshift(...gathered.others)
        }
        assert.deepEqual(found.toSorted(), [...expected].toSorted())
        assert.equal(new Set(found).size, found.length)
      },
    ),
    { numRuns: 200 },
  )
})

test('a stretch in which the table had another key is refused', async () => {
  const log = new MemoryLog(new MemoryLogContents(), () => 0)
  await log.tail()
  await log.append(new Numbering(2).batch([insertOf(orders, 1)]))
  const now = { ...orders, key: [1] }
  const stretch = { from: 0, to: 1, table: now, groups: ['orders@main'] }
  await assert.rejects(
    gatherKeys(log, stretch, { part: everyKey, keysMax: 10 }),
    (error) =>
      error instanceof Failure &&
      /was id and is text/.test(error.message) &&
      /--reload/.test(error.remedy ?? ''),
  )
})

const integer = { kind: 'integer', type: 'int', nullable: true } as const
const limits: ReplayLimits = { keysMax: 4, batchKeys: 2, undeliveredKeys: 4 }

class ReplaySubject extends CaptureSubject {
  /** What finds the items of joined rows; undefined = none are joined. */
  search: RootSearch | undefined
  readonly store = new MemoryStore()
  readonly states = new ReplayStates(this.store, 'main')
  /** The keys of each call. */
  readonly calls: string[][] = []
  /** Calls after which the process dies. */
  dieAfter = Number.POSITIVE_INFINITY
  life = new AbortController()

  /** Items show their notes from now on. */
  joinNotes(): void {
    const columns = [
      { name: 'id', ...integer },
      { name: 'item_id', ...integer },
      { name: 'words', ...integer },
    ]
    this.database.createTable(notes.name, columns, [0])
    const shown = child(notes.name, { item_id: 'id' }, { fields: { words: 'words' } })
    this.search = new RootSearch({
      table,
      childTables: [notes.name],
      changes: childChanges(root(table, { notes: shown })),
      source: this.source,
      describe: () => Promise.resolve(this.items),
      capture: this.capture,
      clock: this.clock,
      turnstile: new Turnstile(1),
      pace: new Pace(0),
      pageRows: 2,
    })
  }

  note(id: number, item_id: number, words: number): void {
    this.database.transaction((writer) => writer.insert(notes.name, { id, item_id, words }))
  }

  begin(): Promise<void> {
    return this.states.begin(this.state())
  }

  state(): ReplayState {
    return {
      source: 'main',
      addressee: 'items',
      table,
      lineage: 'a lineage',
      from: 0,
      to: this.contents.records.length,
      keysPerSecond: 0,
      phase: 'touching',
      parts: [everyKey],
      keysInPart: 0,
      touchedInPart: 0,
      touched: 0,
      until: 0,
      barriers: [],
      startedAtMs: this.clock.now(),
      endedAtMs: null,
      failure: null,
    }
  }

  replays(): Replays {
    const life = this.life.signal
    const alive = async <T>(work: () => Promise<T>): Promise<T> => {
      life.throwIfAborted()
      return await work()
    }
    const store = {
      get: (name: string) => alive(() => this.store.get(name)),
      put: (...put: Parameters<MemoryStore['put']>) => alive(() => this.store.put(...put)),
      list: (...list: Parameters<MemoryStore['list']>) => alive(() => this.store.list(...list)),
    }
    return new Replays({
      states: new ReplayStates(store, 'main'),
      log: this.log,
      capture: {
        touch: async (request, signal) => {
          const keys: string[] = []
          for await (const key of request.keys) keys.push(key)
          const touched = await this.capture.touch({ ...request, keys: keys as Key[] }, signal)
          this.calls.push(keys)
          // Between the append and what the store is told of it.
          if (this.calls.length >= this.dieAfter) this.life.abort()
          return touched
        },
      },
      describe: () => Promise.resolve(this.items),
      searchFor: () => this.search,
      clock: this.clock,
      observe: this.facts.observe,
      limits,
    })
  }

  /** Delivers whatever is in the log. */
  async deliver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (let lane = 0; lane < 2; lane++) await this.log.commit(group, lane, this.contents.records.length)
      await this.clock.sleep(50, signal).catch(() => undefined)
    }
  }

  async phase(): Promise<string | undefined> {
    return (await this.states.of('items'))?.state.phase
  }

  async untilPhase(phase: string): Promise<void> {
    while ((await this.phase()) !== phase) await this.clock.advance(100)
  }
}

async function running(subject: ReplaySubject): Promise<() => Promise<void>> {
  const stop = new AbortController()
  const feed = subject.feed().run(stop.signal)
  await subject.clock.advance(10)
  await subject.log.define({ name: group, tables: [table], attributes: {}, at: 0 })
  subject.insert(1, 2, 3, 4, 5, 6, 7, 8, 9)
  subject.update(3, 'x')
  await subject.captured()
  return async () => {
    stop.abort()
    await subject.clock.until(feed)
  }
}

test('a replay that dies at any moment goes on, and touches every key; few are touched twice', async () => {
  for (const dieAfter of [1, 2, 3, 4, 5]) {
    const subject = new ReplaySubject()
    const end = await running(subject)
    const stop = new AbortController()
    const delivering = subject.deliver(stop.signal)
    subject.dieAfter = dieAfter
    await subject.begin()
    const first = subject.replays().run(subject.life.signal)
    await subject.clock.until(first.catch(() => undefined))
    assert.equal(subject.calls.length, dieAfter)
    assert.equal(await subject.phase(), 'touching')
    subject.life = new AbortController()
    subject.dieAfter = Number.POSITIVE_INFINITY
    const second = subject.replays().run(subject.life.signal)
    await subject.untilPhase('done')
    const touched = subject.calls.flat()
    assert.deepEqual(
      [...new Set(touched)].toSorted(),
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map(String).map((id) => `[${id}]`),
    )
    assert.ok(touched.length <= 9 + limits.batchKeys, `${touched.length} touches`)
    subject.life.abort()
    stop.abort()
    await subject.clock.until(Promise.allSettled([second, delivering]))
    await end()
  }
})

test('a replay waits for what it has appended to be delivered, and is done when all of it is', async () => {
  const subject = new ReplaySubject()
  const end = await running(subject)
  await subject.begin()
  const run = subject.replays().run(subject.life.signal)
  await subject.clock.advance(60_000)
  assert.equal(subject.calls.flat().length, limits.undeliveredKeys)
  assert.equal(await subject.phase(), 'touching')
  await assert.rejects(subject.begin(), (error) => error instanceof Failure && error.kind === 'conflict')
  assert.equal(await subject.states.cancel('items', 0), true)
  await subject.clock.advance(2_000)
  const stop = new AbortController()
  const delivering = subject.deliver(stop.signal)
  await subject.clock.advance(60_000)
  assert.equal(await subject.phase(), 'cancelled')
  assert.equal(subject.calls.flat().length, limits.undeliveredKeys)
  await subject.begin()
  await subject.untilPhase('done')
  subject.life.abort()
  stop.abort()
  await subject.clock.until(Promise.allSettled([run, delivering]))
  await end()
})

test('what retention dropped ends a replay with a reason', async () => {
  const subject = new ReplaySubject()
  const end = await running(subject)
  await subject.states.begin({ ...subject.state(), from: -1 })
  const run = subject.replays().run(subject.life.signal)
  await subject.untilPhase('failed')
  assert.match((await subject.states.of('items'))?.state.failure ?? '', /dropped/)
  subject.life.abort()
  await subject.clock.until(run)
  await end()
})

test('rows whose joined rows changed in the stretch are touched, those before and after the change, each once', async () => {
  for (const dieAfter of [1, 2, Number.POSITIVE_INFINITY]) {
    const subject = new ReplaySubject()
    subject.joinNotes()
    const end = await running(subject)
    subject.note(1, 4, 1)
    subject.note(2, 6, 1)
    await subject.captured()
    const from = subject.contents.records.length
    subject.update(3, 'y')
    subject.note(3, 3, 1)
    subject.note(4, 7, 1)
    subject.database.transaction((writer) => {
      writer.update(notes.name, { id: 1 }, { id: 1, item_id: 5, words: 1 })
      writer.delete(notes.name, { id: 4 })
    })
    await subject.captured()
    const to = subject.contents.records.length
    subject.note(5, 8, 1)
    await subject.captured()
    const stop = new AbortController()
    const delivering = subject.deliver(stop.signal)
    subject.dieAfter = dieAfter
    await subject.states.begin({ ...subject.state(), from, to, followed: from })
    if (dieAfter !== Number.POSITIVE_INFINITY) {
      const first = subject.replays().run(subject.life.signal)
      await subject.clock.until(first.catch(() => undefined))
      subject.life = new AbortController()
      subject.dieAfter = Number.POSITIVE_INFINITY
    }
    const run = subject.replays().run(subject.life.signal)
    await subject.untilPhase('done')
    const touched = subject.calls.flat()
    assert.deepEqual(
      [...new Set(touched)].toSorted(),
      [3, 4, 5, 7].map((id) => `[${id}]`),
    )
    if (dieAfter === Number.POSITIVE_INFINITY) assert.equal(touched.length, 4)
    const state = (await subject.states.of('items'))?.state
    assert.deepEqual([state?.followed, state && shareTouched(state)], [to, 1])
    subject.life.abort()
    stop.abort()
    await subject.clock.until(Promise.allSettled([run, delivering]))
    await end()
  }
})
