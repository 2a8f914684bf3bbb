/** What every change log keeps to about the groups that read it: part of the suite in log.contract.ts. */
import assert from 'node:assert/strict'
import { Failure } from '../../src/change/failure.ts'
import type { Group } from '../../src/log/log.ts'
import { begunLog, insertOf, readUntil, testTable } from '../support/changes.ts'
import type { LogSubject } from './log.contract.ts'

const lanes = 4
const group = 'orders@main'
const orders = testTable('shop.orders')

export const groupRules: Readonly<Record<string, (subject: LogSubject) => Promise<void>>> = {
  'a place never moves backward and never beyond the log': commitBounds,
  'who waits for groups to come to a place is woken by their commits': untilGroups,
  'a group that is not defined is a Failure': undefinedGroup,
  'a forgotten group is gone': forgetting,
}

async function commitBounds({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(orders, 2)]))
  await log.commit(group, 1, 2)
  await log.commit(group, 1, 2)
  await assert.rejects(log.commit(group, 1, 1))
  await assert.rejects(log.commit(group, 1, 3))
  await assert.rejects(log.commit(group, lanes, 1))
  await assert.rejects(log.commit('nobody@main', 1, 1), Failure)
  assert.deepEqual((await log.groups())[0]?.lanes, [0, 2, 0, 0])
}

async function untilGroups({ log }: LogSubject): Promise<void> {
  const numbering = await begunLog(log)
  await log.append(numbering.batch([insertOf(orders, 1), insertOf(orders, 2)]))
  const shown: number[] = []
  const fit = (groups: readonly Group[]): boolean => {
    const behind = Math.min(...groups.flatMap((each) => (each.name === group ? each.lanes : [])))
    shown.push(behind)
    return behind >= 2
  }
  const reached = log.untilGroups(fit, new AbortController().signal)
  for (let lane = 0; lane < lanes; lane++) {
    assert(!shown.includes(2))
    await log.commit(group, lane, 2)
  }
  await reached
  assert.equal(shown.at(-1), 2)
  const leaving = new AbortController()
  const never = log.untilGroups(() => false, leaving.signal)
  leaving.abort(new Error('nobody waits'))
  await assert.rejects(never, /nobody waits/)
}

async function undefinedGroup({ log }: LogSubject): Promise<void> {
  await begunLog(log)
  const nobody = log.read('nobody@main', new AbortController().signal)
  await assert.rejects(
    readUntil(nobody, () => true),
    Failure,
  )
  await assert.rejects(log.lag('nobody@main'), Failure)
}

async function forgetting({ log, reopen }: LogSubject): Promise<void> {
  await begunLog(log)
  await log.forget(group)
  await assert.rejects(log.forget(group), Failure)
  assert.deepEqual(await log.groups(), [])
  assert.deepEqual(await (await reopen()).groups(), [])
}
