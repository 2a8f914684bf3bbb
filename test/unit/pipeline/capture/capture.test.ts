import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Divergence, Failure } from '../../../../src/change/failure.ts'
import type { Control } from '../../../../src/log/log.ts'
import { newLoad } from '../../../../src/pipeline/capture/load-state.ts'
import { versionOf } from '../../../../src/pipeline/capture/numbering.ts'
import { CaptureSubject, group, table } from '../../../support/capture-subject.ts'

test('a new log begins at the head, in an epoch above all that its targets have seen', async () => {
  const subject = new CaptureSubject()
  subject.insert(1, 2)
  const running = subject.feed().run(subject.stop.signal)
  await subject.captured()
  subject.insert(3)
  await subject.captured()
  const control: Control | undefined = subject.capture.control
  assert.deepEqual([control?.lineage, control?.epoch, control?.lanes, control?.seq], ['a lineage', 5, 2, 1])
  assert.deepEqual(subject.records(), ['insert [3]'])
  subject.stop.abort()
  await running
  assert.equal(subject.capture.control, undefined)
})

test('capture goes on from the log, inside a transaction too, and numbers without a gap or an overlap', async () => {
  const subject = new CaptureSubject()
  const first = new AbortController()
  const feed = subject.feed()
  const running = feed.run(first.signal)
  await subject.captured()
  let pieces = 0
  subject.suffer = () => (++pieces > 2 ? Promise.reject(new Failure('transient', 'gone')) : Promise.resolve())
  subject.insert(...Array.from({ length: 10 }, (_, id) => id))
  await assert.rejects(subject.clock.until(running), /gone/)
  const before = subject.records().length
  assert(before > 0 && before < 10, `${before} records were captured before the failure`)
  subject.suffer = () => Promise.resolve()
  const again = feed.run(subject.stop.signal)
  await subject.captured()
  assert.deepEqual(
    subject.records(),
    Array.from({ length: 10 }, (_, id) => `insert [${id}]`),
  )
  const versions = subject.contents.records.map(({ entry }) => entry.version)
  assert.deepEqual(
    versions,
    versions.map((_, at) => (versions[0] ?? 0n) + BigInt(at)),
  )
  subject.stop.abort()
  await again
})

test('where the server has lost what comes next, a restart begins at its head and reads every table again', async () => {
  const subject = new CaptureSubject()
  const first = new AbortController()
  const running = subject.feed().run(first.signal)
  await subject.captured()
  first.abort()
  await running
  subject.insert(1, 2, 3)
  subject.database.purge()
  await assert.rejects(subject.feed().run(subject.stop.signal), isLost)
  const again = subject.feed(true).run(subject.stop.signal)
  await subject.captured()
  assert.equal(subject.capture.loadState(group)?.phase, 'reading')
  assert.notEqual(subject.capture.loadState(group)?.sweepBelow, null)
  subject.stop.abort()
  await again
})

test('what the source took back begins an epoch where both have the same, and every table is read again', async () => {
  const subject = new CaptureSubject()
  const running = subject.feed().run(subject.stop.signal)
  await subject.captured()
  const resume = await subject.source.head()
  subject.insert(1, 2)
  await subject.captured()
  const before = subject.capture.control
  const divergence = new Divergence('two transactions are gone', { resume, undone: 'these' })
  let reads = 0
  subject.suffer = (call) =>
    call === 'read' && reads++ === 0 ? Promise.reject(divergence) : Promise.resolve()
  subject.insert(3)
  await subject.clock.until(subject.facts.until('history-changed'))
  await subject.captured()
  const { control } = subject.capture
  assert.equal(control?.epoch, 6)
  const load = subject.capture.loadState(group)
  assert.deepEqual([load?.phase, load?.after, load?.reason], ['reading', null, 'two transactions are gone'])
  // Above all that the former epoch gave, below all that this one gives.
  assert.equal(load?.sweepBelow, String(versionOf(6, (before?.seq ?? 0) + 2)))
  assert.deepEqual(
    subject.facts
      .of('capture-started')
      .map(({ position }) => position)
      .at(-1),
    resume,
  )
  assert.equal(
    subject.records().filter((record) => record === 'insert [1]').length,
    2,
    'read again from there',
  )
  const [fact] = subject.facts.of('history-changed')
  assert.deepEqual([fact?.epoch, fact?.undone], [6, 'these'])
  subject.stop.abort()
  await running
})

test('capture goes on when the source ends to go on at another server, and repeats what loads were reading', async () => {
  const subject = new CaptureSubject()
  const server = new AbortController()
  const read = subject.source.read.bind(subject.source)
  subject.source.read = (from, signal) =>
    read(from, server.signal.aborted ? signal : AbortSignal.any([signal, server.signal]))
  const running = subject.feed().run(subject.stop.signal)
  await subject.captured()
  await subject.demand(undefined)
  const state = subject.capture.loadState(group)
  assert(state !== undefined)
  const { window } = subject.capture.openWindow(state)
  server.abort()
  subject.insert(4)
  await subject.clock.until(subject.facts.until('captured'))
  assert.equal(window.state, 'repeat')
  assert.equal(subject.facts.of('capture-started').length, 2)
  subject.stop.abort()
  await running
})

test('a load appends every row once, addressed to its group, and ends when its group has passed the last', async () => {
  const subject = new CaptureSubject()
  subject.insert(1, 2, 3, 4, 5, 6, 7)
  const works = [subject.feed().run(subject.stop.signal)]
  await subject.captured()
  await subject.demand(99n)
  works.push(subject.load().run(subject.stop.signal).catch(assertStopped))
  await subject.clock.until(subject.facts.until('load-finished'))
  assert.deepEqual(
    subject.records(),
    [1, 2, 3, 4, 5, 6, 7].map((id) => `read [${id}] (chunk)`),
  )
  assert.equal(subject.awaited.at(-1), 7)
  assert.deepEqual(subject.swept, [99n])
  assert.equal(subject.capture.loadState(group)?.phase, 'done')
  subject.stop.abort()
  await subject.clock.until(Promise.all(works))
})

test('rows that change while their chunk is read are left to the stream', async () => {
  const subject = new CaptureSubject()
  subject.insert(1, 2, 3)
  const ended = await loadedWhile(subject, 10, () => subject.update(2, 'newer'))
  assert.deepEqual(subject.records(), ['update [2]', 'read [1] (chunk)', 'read [3] (chunk)'])
  assert.deepEqual(subject.swept, [])
  await ended()
})

test('a chunk that too many changes overtake is read again, smaller', async () => {
  const subject = new CaptureSubject()
  const ids = Array.from({ length: 12 }, (_, id) => id)
  subject.insert(...ids)
  const ended = await loadedWhile(subject, 12, () => {
    for (const id of ids) subject.update(id, 'newer')
  })
  assert.deepEqual(
    subject.facts.of('chunk-read').map(({ rows }) => rows),
    [12, 6, 6, 0],
  )
  assert.equal(subject.records().filter((record) => record.startsWith('read')).length, 12)
  await ended()
})

test('a barrier begins the load anew with a sweep below it, and no chunk that was read before it is used', async () => {
  const subject = new CaptureSubject()
  subject.insert(1, 2, 3)
  const ended = await loadedWhile(subject, 10, () => {
    subject.insert(4)
    subject.database.truncate(table)
    subject.insert(5)
  })
  assert.deepEqual(subject.records(), [
    'insert [4]',
    `barrier TRUNCATE TABLE ${table}`,
    'insert [5]',
    'read [5] (chunk)',
  ])
  assert.equal(subject.capture.loadState(group)?.generation, 2)
  const [, , after] = subject.contents.records
  assert.deepEqual(subject.swept, [after?.entry.version], 'below the first version after the barrier')
  assert.equal(
    after?.entry.version,
    (subject.contents.records[0]?.entry.version ?? 0n) + 2n,
    'a number between',
  )
  assert.deepEqual(
    subject.facts.of('barrier').map(({ statement }) => statement),
    [`TRUNCATE TABLE ${table}`],
  )
  await ended()
})

test('a load that a person asks for takes a number that no change has, for what it sweeps', async () => {
  const subject = new CaptureSubject()
  const running = subject.feed().run(subject.stop.signal)
  await subject.captured()
  subject.insert(1)
  await subject.captured()
  let given: Control | undefined
  const setting = subject.capture.setLoad(group, (_, control) => {
    given = control
    return newLoad({
      table,
      generation: 1,
      sweepBelow: undefined,
      rowsEstimate: 0,
      reason: 'a test',
      startedAtMs: 0,
    })
  })
  await subject.clock.until(setting)
  subject.insert(2)
  await subject.captured()
  const [before, after] = subject.contents.records.map(({ entry }) => entry.version)
  const number = (5n << 48n) | BigInt(given?.seq ?? 0)
  assert(before !== undefined && after !== undefined && before < number && number < after)
  subject.stop.abort()
  await running
})

test('a load goes on behind the last row that is in the log', async () => {
  const subject = new CaptureSubject()
  subject.insert(1, 2, 3, 4, 5, 6)
  const first = new AbortController()
  const feed = subject.feed().run(subject.stop.signal)
  await subject.captured()
  await subject.demand(undefined)
  const loading = subject.load().run(first.signal).catch(assertStopped)
  await subject.clock.until(subject.facts.until('chunk-appended'))
  first.abort(new Error('stopped'))
  await subject.clock.until(loading)
  const again = subject.load().run(subject.stop.signal).catch(assertStopped)
  await subject.clock.until(subject.facts.until('load-finished'))
  assert.deepEqual(
    subject.records(),
    [1, 2, 3, 4, 5, 6].map((id) => `read [${id}] (chunk)`),
  )
  subject.stop.abort(new Error('stopped'))
  await subject.clock.until(Promise.all([feed, again]))
})

function isLost(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'lost'
}

function assertStopped(error: unknown): void {
  assert.match(String(error), /abort|stopped/)
}

/** A load to its end, and how capture is ended then; `meanwhile`: after the first chunk's rows were read, before the head is taken. */
async function loadedWhile(
  subject: CaptureSubject,
  chunkRows: number,
  meanwhile: () => void,
): Promise<() => Promise<unknown>> {
  const works = [subject.feed().run(subject.stop.signal)]
  await subject.captured()
  await subject.demand(undefined)
  let heads = 0
  subject.suffer = (call) => {
    if (call === 'head' && ++heads === 1) meanwhile()
    return Promise.resolve()
  }
  works.push(subject.load(chunkRows).run(subject.stop.signal).catch(assertStopped))
  await subject.clock.until(subject.facts.until('load-finished'))
  return () => {
    subject.stop.abort()
    return subject.clock.until(Promise.all(works))
  }
}
