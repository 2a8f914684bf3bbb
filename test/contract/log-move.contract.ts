/** What moving a log keeps to, whichever way both are kept. */
import assert from 'node:assert/strict'
import type { Offset } from '../../src/change/change.ts'
import { Failure } from '../../src/change/failure.ts'
import { assertCurrent, type DeadLetter, type Log } from '../../src/log/log.ts'
import { loadState, newLoad, withLoadState } from '../../src/pipeline/capture/load-state.ts'
import { moveLog, type LogMoved, type LogMoveParts } from '../../src/pipeline/log-move/log-move.ts'
import {
  allReached,
  deleteOf,
  entriesOf,
  insertOf,
  keyFor,
  Numbering,
  readOf,
  readUntil,
  testTable,
  updateOf,
} from '../support/changes.ts'
import { rulesOf } from '../support/rules.ts'

/** Two logs of one source, of which none has begun. */
export interface MoveSubject {
  readonly from: Log
  readonly to: Log
  /** Another one, kept as the first. */
  readonly another: () => Promise<Log>
  /** Where the other one of them keeps a record. */
  readonly offsetOf: (seq: number) => Offset
  readonly close: () => Promise<void>
}

const lanes = 4
const fast = 'orders@main'
const slow = 'orders@backup'
const orders = testTable('shop.orders')
const signal = new AbortController().signal

export function testLogMove(name: string, open: () => Promise<MoveSubject>): void {
  const check = rulesOf(name, open)
  check('what groups lacked they get from the other log, as it was, and nothing besides', moves)
  check('interrupted at any step it goes on, and never are both logs current', interrupted)
  check('a log comes back, and goes on where it was left', comesBack)
  check('the history goes along where it is asked for', history)
  check('a log that is no past of the other is let alone', strangers)
}

async function moves({ from, to, offsetOf }: MoveSubject): Promise<void> {
  const numbering = await filled(from)
  const before = { fast: await undelivered(from, fast), slow: await undelivered(from, slow) }
  assert(before.fast.length > 0 && before.fast.length < before.slow.length)
  const moved = await move({ from, to }, offsetOf)
  assert.equal(moved.outcome, 'moved')
  assert.deepEqual(await undelivered(to, fast), before.fast)
  assert.deepEqual(await undelivered(to, slow), before.slow)
  const control = await to.control()
  assert.equal(control?.seq, numbering.control.seq)
  assert.equal(control.lineage, numbering.control.lineage)
  assert.equal(control.producers['source:main'], numbering.control.producers['source:main'])
  const [group] = (await to.groups()).filter((each) => each.name === slow)
  assert.deepEqual(group?.attributes, { uuid: 'of the index' })
  const letters = await Array.fromAsync(to.deadLetters.list(slow))
  assert.deepEqual(
    letters.map(({ id, attempts, firstAtMs }) => [id, attempts, firstAtMs]),
    [['7', 3, 11]],
  )
  const { next } = await to.retention()
  assert.equal(loadState(control, slow)?.until, next)
  assertCurrent(control)
  const old = await from.control()
  assert.throws(() => assertCurrent(old), /was left: the one in there goes on/)
  assert.equal((await move({ from, to }, offsetOf)).outcome, 'before')
}

async function interrupted({ from, to, offsetOf }: MoveSubject): Promise<void> {
  await filled(from)
  const wanted = await undelivered(from, slow)
  let outcome: LogMoved | undefined
  for (let step = 0; outcome === undefined; step++) {
    const fuse = { left: step }
    try {
      outcome = await move({ from: failing(from, fuse), to: failing(to, fuse) }, offsetOf)
    } catch (error) {
      assert.match(String(error), /the fuse blew/)
    }
    const current = [await from.control(), await to.control()].filter(
      (control) => control !== undefined && control.moved === undefined,
    )
    assert(current.length <= 1, `after ${step} steps both logs are current`)
  }
  assert.deepEqual(await undelivered(to, slow), wanted)
  assert.equal(await to.deadLetters.count(slow), 1)
  const [letter] = await Array.fromAsync(to.deadLetters.list(slow))
  assert.equal(letter?.attempts, 3)
}

async function comesBack({ from, to, another, offsetOf }: MoveSubject): Promise<void> {
  const numbering = await filled(from)
  await move({ from, to }, offsetOf)
  await goOn(to, numbering, 100)
  const there = await undelivered(to, slow)
  const back = await another()
  await move({ from: to, to: back }, offsetOf)
  assert.deepEqual(await undelivered(back, slow), there)
  await goOn(back, numbering, 200)
  const here = await undelivered(back, slow)
  assert.equal((await move({ from: back, to }, offsetOf)).outcome, 'moved')
  assert.deepEqual(await undelivered(to, slow), here)
  const versions: bigint[] = []
  for await (const { version } of to.find(orders.name, keyFor(200))) versions.push(version)
  assert.equal(versions.length, 1, 'what was copied is there once')
  assertCurrent(await to.control())
}

async function history({ from, to, offsetOf }: MoveSubject): Promise<void> {
  const { control } = await filled(from)
  const wanted = await undelivered(from, slow)
  assert.equal((await move({ from, to }, offsetOf, { history: true })).copied, control.seq - 3)
  assert.deepEqual(await undelivered(to, slow), wanted)
  const ops: string[] = []
  for await (const { change } of to.find(orders.name, keyFor(2))) ops.push(change.op)
  assert.deepEqual(ops, ['insert', 'delete', 'insert'])
}

async function strangers({ from, to, another, offsetOf }: MoveSubject): Promise<void> {
  await filled(from)
  await filled(to, 'another lineage')
  await assert.rejects(move({ from, to }, offsetOf), /of another lineage/)
  assertCurrent(await from.control())
  const copy = await another()
  await filled(copy)
  await assert.rejects(move({ from, to: copy }, offsetOf), /it is current too/)
}

/** One group has delivered most, the other little; there are letters, a load that was read, and every kind of record. */
export async function filled(log: Log, lineage = 'test'): Promise<Numbering> {
  await log.tail()
  const numbering = new Numbering(lanes)
  numbering.control = { ...numbering.control, lineage }
  await log.append(numbering.batch([]))
  for (const name of [fast, slow])
    await log.define({ name, tables: [orders.name], at: 0, attributes: { uuid: 'of the index' } })
  for (let id = 1; id <= 8; id++) await log.append(numbering.batch([insertOf(orders, id)]))
  for (let lane = 0; lane < lanes; lane++) {
    await log.commit(slow, lane, 4)
    await log.commit(fast, lane, 7)
  }
  await log.append({ ...numbering.batch([readOf(orders, 9), readOf(orders, 10)]), addressee: slow })
  numbering.control = { ...numbering.control, seq: numbering.control.seq + 3 }
  await log.append(numbering.batch([updateOf(orders, 9, 'new'), deleteOf(orders, 2)]))
  await log.append(
    numbering.batch([insertOf(orders, 11)], {
      barriers: [{ table: orders.name, statement: 'TRUNCATE', effect: { kind: 'emptied' } }],
    }),
  )
  await log.append(numbering.batch([insertOf(orders, 12), insertOf(orders, 2, 'again')]))
  await log.deadLetters.put(slow, [letterOf('7')])
  const load = { table: orders.name, generation: 1, sweepBelow: 5n, rowsEstimate: 2, reason: 'new' }
  const state = { ...newLoad({ ...load, startedAtMs: 1 }), phase: 'delivering', until: 10 } as const
  const { control } = numbering
  numbering.control = { ...control, producers: withLoadState(control.producers, slow, state) }
  const { control: now } = numbering
  await log.append({ records: [], firstSeq: now.seq + 1, addressee: undefined, barriers: [], control: now })
  return numbering
}

async function goOn(log: Log, numbering: Numbering, first: number): Promise<void> {
  const control = await log.tail()
  assert(control !== undefined)
  numbering.control = control
  for (let id = first; id < first + 5; id++) await log.append(numbering.batch([insertOf(orders, id)]))
}

/** Of each key, what comes, in order; barriers as often as there are lanes. */
async function undelivered(log: Log, group: string): Promise<readonly string[]> {
  const { next } = await log.retention()
  const batches = await readUntil(log.read(group, signal), allReached(next, lanes))
  const found = entriesOf(batches).map(({ version, change }) => `${version} ${change.op} ${change.key}`)
  const barriers = batches.flatMap(({ barrier }) =>
    barrier === undefined
      ? []
      : [`${barrier.version} ${barrier.statement} ${JSON.stringify(barrier.effect)}`],
  )
  return [...found, ...barriers].toSorted()
}

export function move(
  logs: { readonly from: Log; readonly to: Log },
  offsetOf: LogMoveParts['offsetOf'],
  more: Partial<LogMoveParts> = {},
): Promise<LogMoved> {
  const parts: LogMoveParts = {
    ...logs,
    kinds: { from: 'here', to: 'there' },
    history: false,
    isOrphan: () => false,
    offsetOf,
    copied: () => undefined,
    ...more,
  }
  return moveLog(parts, signal)
}

function letterOf(id: string): DeadLetter {
  return {
    id,
    table: orders.name,
    key: `[${id}]`,
    version: '281474976710663',
    op: 'index',
    reason: 'refused',
    fingerprint: 'refused',
    attempts: 3,
    firstAtMs: 11,
    lastAtMs: 12,
    document: '{"id":7}',
  }
}

/** Writes until the fuse is burnt. */
function failing(log: Log, fuse: { left: number }): Log {
  const burn = async <Result>(write: () => Promise<Result>): Promise<Result> => {
    if (fuse.left-- <= 0) throw new Failure('transient', 'the fuse blew')
    return await write()
  }
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return (batch: Parameters<Log['append']>[0]) => burn(() => target.append(batch))
      if (name === 'define') return (group: Parameters<Log['define']>[0]) => burn(() => target.define(group))
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
