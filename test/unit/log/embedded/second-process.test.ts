/** Two processes on one log. The second one runs this same file with a directory and its part as arguments. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts'
import type { Log } from '../../../../src/log/log.ts'
import { insertOf, Numbering, testTable } from '../../../support/changes.ts'

const orders = testTable('shop.orders')
const group = 'orders@main'
const records = 3000

interface Told {
  readonly offsets?: readonly number[]
  readonly lag?: number
  readonly ready?: true
}

const [, , part, directory] = process.argv
if (part === 'reader' && directory !== undefined) await readAll(directory)
else if (part === 'writer' && directory !== undefined) await writeForever(directory)
else {
  test('a second process reads everything while the first one appends, rolls and writes groups', readsAlong)
  test('the lock of a killed process is free, and what it appended is there', killedWriter)
}

async function appendTen(log: Log, numbering: Numbering, from: number): Promise<void> {
  await log.append(numbering.batch(Array.from({ length: 10 }, (_, at) => insertOf(orders, from + at))))
  if (from % 500 === 0) await log.define({ name: 'other@main', tables: [], at: from, attributes: {} })
}

async function readsAlong(): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  const log = await openEmbeddedLog({ directory: place, segmentBytes: 20_000 })
  await log.tail()
  await log.define({ name: group, tables: ['shop.orders'], at: 0, attributes: {} })
  const child = fork(import.meta.filename, ['reader', place])
  try {
    await toldBy(child, ({ ready }) => ready === true)
    const numbering = new Numbering()
    const reading = toldBy(child, ({ offsets }) => offsets !== undefined)
    for (let id = 0; id < records; id += 10) await appendTen(log, numbering, id)
    const { offsets, lag } = await reading
    assert.deepEqual(offsets, [...Array.from({ length: records }).keys()])
    assert.equal(lag, records)
  } finally {
    child.kill('SIGKILL')
    await log.close()
    await rm(place, { recursive: true })
  }
}

function isHeld(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'conflict'
}

async function killedWriter(): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  const child = fork(import.meta.filename, ['writer', place])
  try {
    await toldBy(child, ({ ready }) => ready === true)
    await assert.rejects(openEmbeddedLog({ directory: place }), isHeld)
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    const log = await openEmbeddedLog({ directory: place })
    const control = await log.tail()
    assert((control?.seq ?? 0) >= 50)
    assert.equal((await log.retention()).next, control?.seq)
    await log.close()
  } finally {
    child.kill('SIGKILL')
    await rm(place, { recursive: true })
  }
}

/** The next message that is as wanted; rejects when the process ends first. */
function toldBy(child: ChildProcess, isWanted: (told: Told) => boolean): Promise<Told> {
  return new Promise((resolve, reject) => {
    child.on('message', (told: Told) => {
      if (isWanted(told)) resolve(told)
    })
    // After the last message, which an exit may overtake.
    child.once('disconnect', () => reject(new Error(`the second process ended with ${child.exitCode}`)))
  })
}

async function readAll(place: string): Promise<void> {
  const log = await openEmbeddedLog({ directory: place, readOnly: true, chunkBytes: 1000 })
  const done = new AbortController()
  const offsets: number[] = []
  tell({ ready: true })
  for await (const { entries } of log.read(group, done.signal)) {
    for (const { offset } of entries) offsets.push(offset)
    if (offsets.length >= records) done.abort()
  }
  const { changes } = await log.lag(group)
  tell({ offsets: offsets.toSorted((one, other) => one - other), lag: changes })
}

async function writeForever(place: string): Promise<void> {
  const log = await openEmbeddedLog({ directory: place, segmentBytes: 5000 })
  await log.tail()
  const numbering = new Numbering()
  for (let id = 0; ; id++) {
    await log.append(numbering.batch([insertOf(orders, id)]))
    if (id === 50) tell({ ready: true })
  }
}

function tell(told: Told): void {
  process.send?.(told)
}
