import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import type { Fault } from '../../../support/memory-sink.ts'
import { settled } from '../../../support/virtual-clock.ts'
import type { Entries } from '../../../../src/log/log.ts'
import { group, hostile, insert, remove, Subject, table } from '../../../support/delivery-subject.ts'

/** Each request meets the next of these; later ones meet none. */
function meets(subject: Subject, ...faults: readonly (Fault | undefined)[]): void {
  let requests = 0
  subject.index.fault = () => faults[requests++]
}

test('what the log holds is written, committed, and said', async () => {
  const subject = await new Subject().begin()
  await subject.append([insert(1, 'one'), insert(2, 'two'), remove(1, 'one')])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 2: 'two' })
  assert.deepEqual((await subject.log.groups())[0]?.lanes, [3])
  const [written] = subject.facts.of('written')
  assert.deepEqual([written?.indexed, written?.deleted, written?.stale, written?.busy], [1, 1, 0, 0])
  assert.deepEqual(
    subject.facts.of('committed').map(({ next }) => next),
    [3],
  )
})

test('every lane delivers its own keys, and all of them together everything', async () => {
  const subject = await new Subject().begin(4)
  const ids = Array.from({ length: 50 }, (_, id) => id)
  await subject.append(ids.map((id) => insert(id, 'first')))
  await subject.append(ids.map((id) => insert(id, 'second')))
  await subject.deliverAll({ requestCountMax: 7 })
  assert.equal(subject.index.documents().size, 50)
  assert(Object.values(subject.documents()).every((name) => name === 'second'))
  assert(new Set(subject.facts.of('written').map(({ lane }) => lane)).size === 4)
  for (const { operations } of subject.facts.of('writing')) assert(operations <= 7)
})

test('operations for which there was no room are sent again, alone, until they are written', async () => {
  const subject = await new Subject().begin()
  meets(subject, { kind: 'partial', written: 1 }, { kind: 'partial', written: 0 })
  await subject.append([insert(1, 'a'), insert(2, 'b'), insert(3, 'c')])
  await subject.deliverAll()
  assert.equal(subject.index.documents().size, 3)
  assert.deepEqual(
    subject.facts.of('writing').map(({ operations }) => operations),
    [3, 2, 2],
  )
})

test('entries that cannot become documents end it when all that came before is written, in every lane', async () => {
  const subject = await new Subject().begin(4)
  // So many come in one piece.
  const ids = Array.from({ length: 500 }, (_, id) => id)
  await subject.append(ids.map((id) => insert(id, 'before')))
  await subject.append(ids.map((id) => insert(id, 'after')))
  const refusal = new Failure('configuration', 'not these')
  // Three of the lanes are still waiting for the target when the fourth has come to what is refused.
  const away: Fault = { kind: 'refused', failure: 'transient' }
  meets(subject, away, away, away)
  const delivery = await subject.delivery({ requestCountMax: 30 }, (entries) => {
    if (entries.offset(0) >= ids.length) throw refusal
  })
  await assert.rejects(subject.clock.until(delivery.run(new AbortController().signal)), refusal)
  assert.deepEqual(new Set(Object.values(subject.documents())), new Set(['before']))
  assert.equal(subject.index.documents().size, ids.length)
  assert.deepEqual(
    (await subject.log.groups())[0]?.lanes.map((next) => next <= ids.length),
    [true, true, true, true],
  )
})

test('nothing is committed while anything before it is unfinished', async () => {
  const subject = await new Subject().begin()
  const room = Promise.withResolvers<void>()
  meets(subject, { kind: 'late', until: room.promise })
  await subject.append([insert(1, 'a')])
  const delivery = await subject.delivery()
  const stop = new AbortController()
  const running = delivery.run(stop.signal)
  await subject.facts.until('writing')
  await settled()
  assert.deepEqual(subject.facts.of('committed'), [])
  assert.equal(delivery.next, 0)
  room.resolve()
  await subject.clock.until(delivery.passed(1, stop.signal))
  stop.abort()
  await running
})

for (const fault of [
  { kind: 'lost' },
  { kind: 'refused', failure: 'transient' },
  { kind: 'refused', failure: 'overload' },
  { kind: 'refused', failure: 'target' },
] as const) {
  const what = fault.kind === 'lost' ? 'whose answer got lost' : `refused as ${fault.failure}`
  test(`a request ${what} is sent again after a while, and the target's return is said`, async () => {
    const subject = await new Subject().begin()
    meets(subject, fault, fault, fault)
    await subject.append([insert(1, 'a')])
    await subject.deliverAll()
    assert.deepEqual(subject.documents(), { 1: 'a' })
    assert.deepEqual(
      subject.facts.of('target-waiting').map(({ waitMs }) => Math.round(waitMs / 1000)),
      [1, 1, 2],
    )
    assert.equal(subject.facts.of('target-ready').length, 1)
  })
}

test('a failure that needs a person ends the delivery, and what was not finished is not committed', async () => {
  const subject = await new Subject().begin()
  meets(subject, undefined, { kind: 'refused', failure: 'configuration' })
  await subject.append([insert(1, 'a')])
  await subject.deliverAll()
  await subject.append([insert(2, 'b')])
  await assert.rejects(subject.deliverAll(), isFailure('configuration'))
  assert.deepEqual((await subject.log.groups())[0]?.lanes, [1])
})

test('where the target itself is in trouble the index is looked at, and another one ends the delivery', async () => {
  const subject = await new Subject().begin()
  subject.guard = () => Promise.reject(new Failure('conflict', 'another index'))
  subject.index.drop()
  await subject.append([insert(1, 'a')])
  await assert.rejects(subject.deliverAll(), isFailure('conflict'))
})

test('a stored version that this log never gave ends the delivery; a newer one of our own does not', async () => {
  const subject = await new Subject().begin()
  await subject.append([insert(1, 'a'), insert(2, 'b')])
  subject.index.intrude('1', '{"name":"ours, newer"}', (1n << 48n) | 2n)
  await subject.deliverAll()
  assert.equal(subject.documents()['1'], 'ours, newer')
  assert.equal(subject.facts.of('written')[0]?.stale, 1)
  subject.index.intrude('3', '{"name":"theirs"}', 2n ** 60n)
  await subject.append([insert(3, 'c')])
  await assert.rejects(subject.deliverAll(), isFailure('conflict'))
})

test('a refused document becomes a dead letter and holds up nothing; a later version that is written settles it', async () => {
  const subject = await new Subject().begin()
  await subject.append([insert(1, hostile), insert(2, 'b')])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 2: 'b' })
  assert.deepEqual(await subject.letterIds(), ['1'])
  assert.equal((await subject.log.groups())[0]?.lanes[0], 2)
  await subject.append([insert(1, 'mended')])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 1: 'mended', 2: 'b' })
  assert.deepEqual(await subject.letterIds(), [])
  assert.deepEqual(
    subject.facts.of('dead-letters').map(({ open }) => open),
    [0, 1, 0],
  )
})

test('a document that lacks a part is known as such, wherever its delivery ends, until a later version is written', async () => {
  const subject = await new Subject().begin()
  const again = { name: group, tables: [table.name], attributes: {}, at: 0 }
  const remark = { kind: 'lacking', reason: 'no answer', fingerprint: 'no answer' } as const
  subject.remade = (operation) => ({ ...operation, repeatable: false, remark })
  await subject.append([insert(1, 'a')])
  subject.index.fault = () => {
    assert(!subject.letters.areNone, 'what it lacks is noted before it is written')
    return undefined
  }
  await subject.deliverAll()
  assert.deepEqual(await subject.letterIds(), ['1'])
  subject.remade = (operation) => ({ ...operation, repeatable: false })
  await subject.log.define(again)
  await subject.deliverAll()
  assert.deepEqual(
    await subject.letterIds(),
    ['1'],
    'the version that is there is still the one that lacks a part',
  )
  await subject.append([insert(1, 'b')])
  await subject.deliverAll()
  assert.deepEqual(await subject.letterIds(), [])
})

test('a dead letter says what was refused, of which change, and why', async () => {
  const subject = await new Subject().begin()
  await subject.append([insert(7, hostile)])
  await subject.deliverAll()
  for await (const letter of subject.log.deadLetters.list(group)) {
    const { id, table: name, key, op, version, reason, document } = letter
    assert.deepEqual(
      { id, name, key, op, version, reason },
      {
        id: '7',
        name: 'shop.items',
        key: '[7]',
        op: 'index',
        version: String((1n << 48n) | 1n),
        reason: "failed to parse field 'name'",
      },
    )
    assert.deepEqual(JSON.parse(document ?? ''), { id: 7, name: hostile })
  }
})

test('a stop lets the request under way end and commits it; the next delivery goes on behind it', async () => {
  const subject = await new Subject().begin()
  const room = Promise.withResolvers<void>()
  meets(subject, { kind: 'slow', until: room.promise })
  await subject.append([insert(1, 'a')])
  const stop = new AbortController()
  const running = (await subject.delivery()).run(stop.signal)
  await subject.facts.until('writing')
  stop.abort()
  room.resolve()
  await subject.clock.until(running)
  assert.deepEqual((await subject.log.groups())[0]?.lanes, [1])
  await subject.append([insert(2, 'b')])
  await subject.deliverAll()
  assert.equal(subject.facts.of('writing').length, 2)
})

test('changes may be gathered for a while, so that one request takes them all', async () => {
  const subject = await new Subject().begin()
  const delivery = await subject.delivery({ batchAgeMs: 50 })
  const stop = new AbortController()
  const running = delivery.run(stop.signal)
  for (const id of [1, 2, 3]) {
    await subject.append([insert(id, 'x')])
    await subject.clock.advance(10)
  }
  await subject.clock.until(delivery.passed(3, stop.signal))
  stop.abort()
  await running
  assert.deepEqual(
    subject.facts.of('writing').map(({ operations }) => operations),
    [3],
  )
})

test('a full lane holds the log back, and goes on when there is room', async () => {
  const subject = await new Subject().begin()
  for (let id = 0; id < 1200; id++) await subject.append([insert(id, 'x')])
  await subject.deliverAll({ queuedBytesMax: 200, requestCountMax: 5 })
  assert.equal(subject.index.documents().size, 1200)
})

function isFailure(kind: FailureKind): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.kind === kind
}

test('a document that changes often is written at most once in each window, and its last state is right', async () => {
  const subject = await new Subject().begin()
  const windowMs = 1000
  const delivery = await subject.delivery({ windowMs })
  const stop = new AbortController()
  const running = delivery.run(stop.signal)
  const beganMs = subject.clock.now()
  for (let round = 0; round < 100; round++) {
    await subject.append(Array.from({ length: 100 }, (_, at) => insert(1, `state ${round * 100 + at}`)))
    await subject.append([insert(10 + round, 'others')])
    await subject.clock.advance(100)
  }
  const windows = Math.ceil((subject.clock.now() - beganMs) / windowMs) + 1
  await subject.clock.until(delivery.passed(subject.contents.records.length, stop.signal))
  stop.abort()
  await running
  assert.equal(subject.documents()['1'], 'state 9999')
  assert.equal(subject.index.documents().size, 101)
  const written = subject.facts.of('written')
  assert(written.length <= windows, `${written.length} requests in ${windows} windows`)
})

test('what is held open is written all the same when it takes too much memory, and rows of a load never wait', async () => {
  const subject = await new Subject().begin()
  const windowMs = 1_000_000
  await subject.append(Array.from({ length: 50 }, (_, id) => insert(id, 'x')))
  await subject.deliverAll({ windowMs, requestCountMax: 50 })
  await subject.append(Array.from({ length: 300 }, (_, at) => insert(1, `state ${at}`)))
  await subject.deliverAll({ windowMs, requestBytesMax: 5000 })
  await subject.append([{ ...insert(99, 'of a load'), committedAtMs: 0 }])
  await subject.deliverAll({ windowMs })
  assert.equal(subject.documents()['1'], 'state 299')
  assert.equal(subject.documents()['99'], 'of a load')
})

test('entries that take long to become documents are written although more and more come', async () => {
  const subject = await new Subject().begin()
  const slowly = (): Promise<void> => subject.clock.sleep(100, new AbortController().signal)
  const delivery = await subject.delivery({}, slowly)
  const stop = new AbortController()
  const running = delivery.run(stop.signal)
  for (let count = 0; count < 100; count++) {
    await subject.append([insert(count % 3, `row ${count}`)])
    await subject.clock.advance(50)
  }
  assert(subject.facts.of('written').length > 3)
  stop.abort()
  await subject.clock.until(running)
})

test('where others are asked, what waits becomes one batch, with the version and the offset of each entry', async () => {
  const subject = await new Subject().begin()
  const seen: string[][] = []
  const asked = (entries: Entries): Promise<void> => {
    seen.push([...entries].map(({ offset, version, change }) => `${offset} ${version} ${change.key}`))
    return subject.clock.sleep(100, new AbortController().signal)
  }
  const delivery = await subject.delivery({ mergedEntriesMax: 25 }, asked)
  const stop = new AbortController()
  const running = delivery.run(stop.signal)
  for (let id = 0; id < 60; id++) {
    await subject.append([insert(id, `row ${id}`), insert(id + 1, `row ${id}`)])
    await subject.clock.advance(1)
  }
  await subject.clock.until(delivery.passed(120, stop.signal))
  stop.abort()
  await subject.clock.until(running)
  assert.deepEqual(
    seen.flat(),
    Array.from({ length: 120 }, (_, at) => `${at} ${(1n << 48n) + BigInt(at + 1)} [${(at >> 1) + (at % 2)}]`),
  )
  assert(seen.length < 12, `${seen.length} batches`)
  assert(Math.max(...seen.map(({ length }) => length)) <= 25)
  assert.equal(subject.documents()['60'], 'row 59')
})
