import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Key, Offset, Position } from '../../../../src/change/change.ts'
import { Failure } from '../../../../src/change/failure.ts'
import { countOf, packRecords, type Records } from '../../../../src/change/records.ts'
import { packRow } from '../../../../src/change/row.ts'
import type { Control, LogBatch } from '../../../../src/log/log.ts'
import { Appender, type Appended } from '../../../../src/pipeline/capture/appender.ts'
import type { SourceBatch } from '../../../../src/source/source.ts'
import { settled } from '../../../support/virtual-clock.ts'

const start: Control = { lineage: 'l', epoch: 2, seq: 100, lanes: 2, producers: { 'source:main': 'p0' } }

/** Where appends end up; each waits until it is let through, or is made to fail. */
class SlowLog {
  readonly batches: LogBatch[] = []
  #next = 1000
  #waiting: PromiseWithResolvers<void>[] = []

  async append(batch: LogBatch): Promise<Offset> {
    assert.equal(this.#waiting.length, 0, 'one append at a time')
    const turn = Promise.withResolvers<void>()
    this.#waiting.push(turn)
    await turn.promise
    this.batches.push(batch)
    this.#next += countOf(batch.records)
    return this.#next
  }

  /** Ends the append under way, if there is one. */
  async end(failure?: Error): Promise<boolean> {
    await settled()
    const turn = this.#waiting.shift()
    if (failure === undefined) turn?.resolve()
    else turn?.reject(failure)
    await settled()
    return turn !== undefined
  }

  async endAll(): Promise<void> {
    while (await this.end());
  }
}

interface Subject {
  readonly log: SlowLog
  readonly appender: Appender
  readonly appended: Appended[]
  readonly failures: unknown[]
}

function subject(batchBytesMax = 100): Subject {
  const [log, appended, failures] = [new SlowLog(), new Array<Appended>(), new Array<unknown>()]
  const parts = {
    log,
    producer: 'source:main',
    batchBytesMax,
    appended: (each: Appended) => void appended.push(each),
    onBarriers: (_: unknown, control: Control) => ({
      ...control.producers,
      'task:load:g': `below ${control.seq}`,
    }),
    failed: (error: unknown) => void failures.push(error),
  }
  return { log, appended, failures, appender: new Appender(parts, start) }
}

let ids = 0

function changesOf(runs: readonly Records[]): Change[] {
  return runs.flatMap((records) => [...records])
}

function change(): Change {
  const table = { name: 't', columns: [], key: [] }
  const key = `[${++ids}]` as Key
  return { table, op: 'insert', key, before: undefined, after: packRow([null]), committedAtMs: 1 }
}

function piece(count: number, position: string, more: Partial<SourceBatch> = {}): SourceBatch {
  const records = [packRecords(Array.from({ length: count }, change))]
  return { records, barriers: [], position: position as Position, bytes: count * 10, ...more }
}

const barriers = [{ table: 't', statement: 'TRUNCATE t' }]

test('what the source gave is numbered, and saved with its position and the numbering', async () => {
  const { log, appender } = subject()
  await appender.take(piece(3, 'p1'))
  await log.endAll()
  const [batch] = log.batches
  assert.equal(batch?.firstSeq, 101)
  assert.equal(batch.addressee, undefined)
  assert.deepEqual(batch.control, { ...start, seq: 103, producers: { 'source:main': 'p1' } })
  assert.equal(appender.control, batch.control)
  assert.equal(appender.next, 1003)
})

test('what arrives while an append is under way goes into the next one together', async () => {
  const { log, appender } = subject(1000)
  const pieces = ['p1', 'p2', 'p3', 'p4'].map((position) => piece(2, position))
  for (const each of pieces) await appender.take(each)
  await log.endAll()
  assert.deepEqual(
    log.batches.map(({ records, control }) => [countOf(records), control.producers['source:main']]),
    [
      [2, 'p1'],
      [6, 'p4'],
    ],
  )
})

test('an append is bounded in bytes, and a full one holds the source back until it is durable', async () => {
  const { log, appender } = subject(30)
  await appender.take(piece(3, 'p1'))
  let taken = false
  const second = appender.take(piece(3, 'p2')).then(() => (taken = true))
  await settled()
  assert(!taken, 'sixty bytes are not durable yet')
  await log.end()
  assert(taken)
  await second
  await log.endAll()
  assert.deepEqual(
    log.batches.map(({ records }) => countOf(records)),
    [3, 3],
  )
})

test('a barrier ends its append, and changes the states of the loads in the same append', async () => {
  const { log, appender, appended } = subject(1000)
  await appender.take(piece(1, 'p1'))
  await appender.take(piece(2, 'p2', { barriers }))
  await appender.take(piece(1, 'p3'))
  await log.endAll()
  assert.deepEqual(
    log.batches.map(({ records, control, ...batch }) => [
      countOf(records),
      batch.barriers.length,
      control.seq,
    ]),
    [
      [1, 0, 101],
      [2, 1, 104],
      [1, 0, 105],
    ],
  )
  const [before, at, after] = log.batches.map((batch) => batch.control.producers['task:load:g'])
  assert.deepEqual([before, at, after], [undefined, 'below 104', 'below 104'])
  assert.deepEqual(
    appended.map((each) => each.barriers.length),
    [0, 1, 0],
  )
})

test('an insertion is asked when its turn comes, sees all that was appended before it, and keeps the position', async () => {
  const { log, appender } = subject()
  await appender.take(piece(2, 'p1'))
  let seen: Control | undefined
  const next = appender.insert((control) => {
    seen = control
    return {
      records: [packRecords([change()])],
      addressee: 'g',
      producers: { ...control.producers, 'task:x': 'done' },
    }
  })
  await settled()
  assert.equal(seen, undefined, 'its turn has not come')
  await log.endAll()
  assert.equal(await next, 1003)
  assert.equal(seen, log.batches[0]?.control)
  assert.equal(log.batches[1]?.addressee, 'g')
  assert.equal(log.batches[1].firstSeq, 103)
  assert.deepEqual(appender.control.producers, { 'source:main': 'p1', 'task:x': 'done' })
})

test('a busy source and insertions take turns', async () => {
  const { log, appender } = subject(10)
  const kinds: string[] = []
  const taking = (async () => {
    for (let at = 0; at < 5; at++) await appender.take(piece(1, `p${at}`))
  })()
  const insertions = Array.from({ length: 3 }, () =>
    appender.insert((control) => ({ records: [], addressee: 'g', producers: control.producers })),
  )
  await log.endAll()
  await Promise.all([taking, ...insertions])
  for (const { addressee } of log.batches) kinds.push(addressee === undefined ? 'stream' : 'insertion')
  assert.equal(kinds.filter((kind) => kind === 'insertion').length, 3)
  assert(!kinds.slice(0, 6).join().includes('stream,stream,stream'), kinds.join())
})

test('an insertion may raise the epoch, never lower it', async () => {
  const { log, appender } = subject()
  const raised = appender.insert(({ producers }) => ({
    records: [],
    addressee: undefined,
    producers,
    epoch: 5,
  }))
  await log.endAll()
  await raised
  assert.equal(appender.control.epoch, 5)
  const lowered = appender.insert(({ producers }) => ({
    records: [],
    addressee: undefined,
    producers,
    epoch: 4,
  }))
  await assert.rejects(lowered, { name: 'AssertionError' })
})

test('after a failed append nothing is appended any more: all who wait are told, and the control stays', async () => {
  const { log, appender, failures } = subject()
  const failure = new Failure('full', 'no room')
  await appender.take(piece(1, 'p1'))
  const waiting = appender.insert(({ producers }) => ({ records: [], addressee: undefined, producers }))
  const rejected = assert.rejects(waiting, failure)
  await log.end(failure)
  await rejected
  assert.deepEqual(failures, [failure])
  await assert.rejects(appender.take(piece(1, 'p2')), failure)
  await assert.rejects(appender.drained(), failure)
  assert.throws(
    () => appender.insert(({ producers }) => ({ records: [], addressee: undefined, producers })),
    failure,
  )
  assert.equal(await log.end(), false, 'nothing is under way')
  assert.deepEqual(log.batches, [])
  assert.equal(appender.control, start)
})

test('closing waits for the append under way, and lets the rest go', async () => {
  const { log, appender } = subject(1000)
  await appender.take(piece(1, 'p1'))
  await appender.take(piece(1, 'p2'))
  const waiting = assert.rejects(
    appender.insert(({ producers }) => ({ records: [], addressee: undefined, producers })),
    /stopped/,
  )
  let closed = false
  const closing = appender.close(new Failure('transient', 'stopped')).then(() => (closed = true))
  await settled()
  assert(!closed, 'an append is under way')
  await log.end()
  await Promise.all([closing, waiting])
  assert.equal(log.batches.length, 1)
  assert.equal(appender.control.seq, 101)
})

const arrival = fc.record({
  kind: fc.constantFrom('piece', 'piece', 'barrier', 'insertion', 'end'),
  count: fc.nat(4),
})

test('whatever arrives when, every change is appended once, in order, under ascending numbers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arrival, { maxLength: 40 }),
      fc.integer({ min: 1, max: 80 }),
      async (arrivals, bytes) => {
        const { log, appender } = subject(bytes)
        const given: Change[] = []
        const works: Promise<unknown>[] = []
        let last: Promise<unknown> = Promise.resolve()
        for (const [at, { kind, count }] of arrivals.entries()) {
          if (kind === 'end') await log.end()
          else if (kind === 'insertion') {
            const insertion = { records: [packRecords([change()])], addressee: 'g' }
            works.push(appender.insert(({ producers }) => ({ ...insertion, producers })))
          } else {
            const each = piece(count, `p${at}`, kind === 'barrier' ? { barriers } : {})
            given.push(...changesOf(each.records))
            works.push((last = last.then(() => appender.take(each))))
          }
        }
        await log.endAll()
        await Promise.all(works)
        await appender.drained()
        const streamed = log.batches.filter((batch) => batch.addressee === undefined)
        assert.deepEqual(
          streamed.flatMap((batch) => changesOf(batch.records)),
          given,
        )
        let seq = start.seq
        for (const batch of log.batches) {
          assert.equal(batch.firstSeq, seq + 1)
          assert.equal(batch.control.seq, seq + countOf(batch.records) + batch.barriers.length)
          seq = batch.control.seq
        }
      },
    ),
    { numRuns: 60 },
  )
})
