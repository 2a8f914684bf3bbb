import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts'
import type { Entry, Log } from '../../../../src/log/log.ts'
import { allReached, entriesOf, insertOf, Numbering, readUntil, testTable } from '../../../support/changes.ts'
import { MemoryDisk } from '../../../support/memory-disk.ts'
import { Random } from '../../../support/random.ts'

const orders = testTable('shop.orders')
const group = 'orders@main'
const lanes = 3

async function begun(disk: MemoryDisk, segmentBytes = 1000): Promise<{ log: Log; numbering: Numbering }> {
  const log = await openEmbeddedLog({ directory: '/log', disk, segmentBytes })
  await log.tail()
  await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
  return { log, numbering: new Numbering(lanes) }
}

function isFailure(kind: FailureKind): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.kind === kind && error.remedy !== undefined
}

async function allOf(log: Log): Promise<Entry[]> {
  const { next } = await log.retention()
  const read = await readUntil(log.read(group, new AbortController().signal), allReached(next, lanes))
  return entriesOf(read)
}

test('a full disk loses nothing: the append is refused, and taken when there is room', async () => {
  const disk = new MemoryDisk({ capacityBytes: 16_000 })
  const { log, numbering } = await begun(disk)
  let appended = 0
  let { control } = numbering
  const append = async (): Promise<void> => {
    await log.append(numbering.batch([insertOf(orders, appended), insertOf(orders, 1e6 + appended)]))
    appended++
    control = numbering.control
  }
  const untilFull = async (): Promise<void> => {
    for (;;) await append()
  }
  await assert.rejects(untilFull(), (error) => {
    assert(error instanceof Failure && error.message.includes('/log/segments'))
    return isFailure('full')(error)
  })
  assert(appended > 3)
  await assert.rejects(log.append(numbering.batch([])), isFailure('conflict'))
  for (let again = 0; again < 3; again++) {
    assert.deepEqual(await log.tail(), control)
    numbering.control = control
    await assert.rejects(append(), isFailure('full'))
  }
  disk.capacityBytes = 1e7
  assert.deepEqual(await log.tail(), control)
  numbering.control = control
  await append()
  assert.equal((await allOf(log)).length, 2 * appended)
  disk.crash()
  const again = await openEmbeddedLog({ directory: '/log', disk })
  assert.deepEqual(await again.tail(), control)
  assert.equal((await allOf(again)).length, 2 * appended)
})

test('a frame whose sync failed is never believed, even if it can be read', async () => {
  for (const operation of ['write', 'sync', 'create', 'syncDirectory']) {
    const disk = new MemoryDisk({ random: () => 0.3 })
    const { log, numbering } = await begun(disk, 1)
    await log.append(numbering.batch([insertOf(orders, 1)]))
    const { control } = numbering
    disk.fault = (each, path) => (each === operation && path.startsWith('/log/segments') ? 'EIO' : undefined)
    await assert.rejects(log.append(numbering.batch([insertOf(orders, 2)])), isFailure('transient'))
    disk.fault = () => undefined
    assert.deepEqual(await log.tail(), control, operation)
    numbering.control = control
    await log.append(numbering.batch([insertOf(orders, 3)]))
    const keys = (await allOf(log)).map(({ change }) => change.key)
    assert.deepEqual(keys, ['[1]', '[3]'])
    await log.close()
    const again = await openEmbeddedLog({ directory: '/log', disk })
    assert.deepEqual(
      (await allOf(again)).map(({ change }) => change.key),
      keys,
    )
  }
})

test('a reader gets nothing that is not yet durable', async () => {
  const disk = new MemoryDisk()
  const { log, numbering } = await begun(disk)
  await log.append(numbering.batch([insertOf(orders, 1)]))
  disk.fault = (each, path) => (each === 'sync' && path.startsWith('/log/segments') ? 'EIO' : undefined)
  await assert.rejects(log.append(numbering.batch([insertOf(orders, 2)])))
  assert.deepEqual(
    (await allOf(log)).map(({ change }) => change.key),
    ['[1]'],
  )
  assert.equal((await log.retention()).next, 1)
})

test('commits that come while one is being written are written together', async () => {
  const disk = new MemoryDisk()
  const { log, numbering } = await begun(disk)
  await log.append(numbering.batch([1, 2, 3, 4].map((id) => insertOf(orders, id))))
  let writings = 0
  disk.fault = (operation, path) => {
    if (operation === 'sync' && path.includes('/groups/')) writings++
    return undefined
  }
  const commits = []
  for (let next = 1; next <= 4; next++)
    for (let lane = 0; lane < lanes; lane++) commits.push(log.commit(group, lane, next))
  await Promise.all(commits)
  assert.equal(writings, 2)
  disk.crash()
  const again = await openEmbeddedLog({ directory: '/log', disk })
  assert.deepEqual((await again.groups())[0]?.lanes, [4, 4, 4])
})

test('a commit that could not be written is refused, and the next one takes it along', async () => {
  const disk = new MemoryDisk()
  const { log, numbering } = await begun(disk)
  await log.append(numbering.batch([insertOf(orders, 1)]))
  disk.fault = (operation, path) =>
    operation === 'write' && path.includes('/groups/') ? 'ENOSPC' : undefined
  await assert.rejects(log.commit(group, 0, 1), isFailure('full'))
  assert.deepEqual((await log.groups())[0]?.lanes, [0, 0, 0])
  disk.fault = () => undefined
  await log.commit(group, 0, 1)
  assert.deepEqual((await log.groups())[0]?.lanes, [1, 0, 0])
})

test('a second writer is kept out until the first one is gone', async () => {
  const disk = new MemoryDisk()
  const { log } = await begun(disk)
  await assert.rejects(openEmbeddedLog({ directory: '/log', disk }), isFailure('conflict'))
  await log.close()
  const next = await openEmbeddedLog({ directory: '/log', disk })
  await next.close()
})

test('a log opened for reading refuses to be written', async () => {
  const disk = new MemoryDisk()
  const { log, numbering } = await begun(disk)
  await log.append(numbering.batch([insertOf(orders, 1)]))
  const other = await openEmbeddedLog({ directory: '/log', disk, readOnly: true })
  const attempts = [
    () => other.append(numbering.batch([])),
    () => other.commit(group, 0, 1),
    () => other.define({ name: 'x', tables: [], attributes: {} }),
    () => other.forget(group),
    () => other.drop(),
    () => other.deadLetters.settle(group, ['1']),
  ]
  for (const attempt of attempts) await assert.rejects(attempt(), isFailure('conflict'))
  assert.equal((await allOf(other)).length, 1)
  assert.deepEqual(await other.control(), numbering.control)
})

test('groups are marked as lost before the segment goes that they need', async () => {
  const disk = new MemoryDisk()
  const options = { directory: '/log', disk, segmentBytes: 300, retentionBytes: 1000, ceilingBytes: 1000 }
  const log = await openEmbeddedLog(options)
  await log.tail()
  const numbering = new Numbering(lanes)
  await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
  for (let id = 0; id < 20; id++) await log.append(numbering.batch([insertOf(orders, id)]))
  const before = disk.files('/log/segments').length
  disk.fault = (operation, path) => (operation === 'rename' && path.includes('/groups/') ? 'EIO' : undefined)
  await assert.rejects(log.drop(), isFailure('transient'))
  assert.equal(disk.files('/log/segments').length, before)
  disk.fault = () => undefined
  await log.drop()
  disk.crash()
  const again = await openEmbeddedLog(options)
  assert.equal((await again.groups())[0]?.lost, true)
  assert((await again.retention()).bytes <= 1000)
})

test('whatever fails and crashes: what was acknowledged is there once and in order, the rest whole or not at all', async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const life = new Life(new Random(seed))
    await life.begin()
    for (let step = 0; step < 40; step++) await life.step()
    await life.end()
  }
})

/** A short life of a log on a disk that forgets, beside a model of what was acknowledged. */
class Life {
  readonly #random: Random
  readonly #disk: MemoryDisk
  readonly #segmentBytes: number
  readonly #places = Array.from({ length: lanes }, () => 0)
  /** Keys by offset. */
  readonly #acknowledged: string[] = []
  #log: Log | undefined
  #numbering = new Numbering(lanes)

  constructor(random: Random) {
    this.#random = random
    this.#disk = new MemoryDisk({ random: () => random.next() })
    this.#segmentBytes = 200 + random.below(3000)
  }

  async begin(): Promise<void> {
    this.#log = (await begun(this.#disk, this.#segmentBytes)).log
  }

  async step(): Promise<void> {
    const fate = this.#random.below(10)
    if (fate === 0) await this.#crash([])
    else if (fate === 1) this.#makeFail()
    else if (fate === 2) await this.#commit()
    else await this.#append()
  }

  async end(): Promise<void> {
    await this.#crash([])
    const log = this.#open()
    const [found] = await log.groups()
    if (this.#numbering.control.seq > 0) assert.deepEqual(found?.lanes, this.#places)
    await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
    if (this.#acknowledged.length === 0) return
    const entries = await allOf(log)
    assert.deepEqual(
      entries.map(({ change, offset }) => [offset, change.key]),
      [...this.#acknowledged.entries()],
    )
  }

  /** One kind of operation on the segments fails until the next append was refused. */
  #makeFail(): void {
    const failing = this.#random.pick(['write', 'sync', 'syncDirectory', 'create'])
    this.#disk.fault = (operation, path) =>
      operation === failing && path.startsWith('/log/segments') ? 'EIO' : undefined
  }

  async #commit(): Promise<void> {
    const lane = this.#random.below(lanes)
    const before = this.#places[lane] ?? 0
    const next = before + this.#random.below(this.#acknowledged.length - before + 1)
    if (this.#numbering.control.seq === 0) return
    await this.#open().commit(group, lane, next)
    this.#places[lane] = next
  }

  async #append(): Promise<void> {
    const changes = Array.from({ length: this.#random.below(4) }, () =>
      insertOf(orders, this.#random.below(1000)),
    )
    const keys = changes.map(({ key }) => key)
    try {
      await this.#open().append(this.#numbering.batch(changes))
      this.#acknowledged.push(...keys)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (this.#random.below(2) === 0) return this.#crash(keys)
      this.#disk.fault = () => undefined
      await this.#goOn([])
    }
  }

  async #crash(unsure: readonly string[]): Promise<void> {
    this.#disk.fault = () => undefined
    this.#disk.crash()
    this.#log = await openEmbeddedLog({
      directory: '/log',
      disk: this.#disk,
      segmentBytes: this.#segmentBytes,
    })
    await this.#goOn(unsure)
  }

  /** From the tail; what was not acknowledged may be there as a whole. */
  async #goOn(unsure: readonly string[]): Promise<void> {
    const log = this.#open()
    const control = await log.tail()
    const { next } = await log.retention()
    if (unsure.length > 0 && next === this.#acknowledged.length + unsure.length)
      this.#acknowledged.push(...unsure)
    assert.equal(next, this.#acknowledged.length)
    this.#numbering = new Numbering(lanes)
    if (control !== undefined) this.#numbering.control = control
  }

  #open(): Log {
    assert(this.#log !== undefined)
    return this.#log
  }
}
