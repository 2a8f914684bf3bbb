import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Barrier, Key } from '../../../../src/change/change.ts'
import { Barriers, isDealtWith, type BarriersParts } from '../../../../src/pipeline/index/barriers.ts'
import { highestVersion } from '../../../../src/pipeline/capture/numbering.ts'
import { group, hostile, insert, remove, Subject, table } from '../../../support/delivery-subject.ts'

const emptied: Barrier = {
  table: table.name,
  statement: 'TRUNCATE TABLE shop.items',
  effect: { kind: 'emptied' },
}

async function begun(lanes: number, more: Partial<BarriersParts> = {}): Promise<Subject> {
  const subject = await new Subject().begin(lanes)
  const { index, letters, clock, state, facts } = subject
  if (state === undefined) throw new Error('there is no index')
  const barriers = new Barriers({
    index,
    sink: index.sinkFor(state),
    letters,
    clock,
    highestVersion: () => highestVersion(subject.control),
    group,
    table: table.name,
    observe: facts.observe,
    touch: () => assert.fail('nothing is to be touched'),
    reread: () => assert.fail('nothing is to be read'),
    ...more,
  })
  subject.barrier = (barrier) => barriers.pass(barrier, new AbortController().signal)
  return subject
}

const ids = Array.from({ length: 60 }, (_, id) => id)

test('a table that is emptied leaves the documents of what came after, and nothing is read', async () => {
  const subject = await begun(4)
  await subject.append(ids.map((id) => insert(id, 'before')))
  await subject.deliverAll()
  await subject.append([...ids.slice(0, 30).map((id) => insert(id, 'late')), remove(40, 'before')], [emptied])
  await subject.append([insert(3, 'after'), insert(70, 'after')])
  await subject.deliverAll({ requestCountMax: 7 })
  assert.deepEqual(subject.documents(), { 3: 'after', 70: 'after' })
  const passes = subject.facts.of('emptied')
  assert.ok(passes.length >= 1 && passes.length <= 4)
})

test('a barrier whose deletes were interrupted is dealt with again, and what came after it stays', async () => {
  const subject = await begun(2)
  await subject.append(
    ids.map((id) => insert(id, 'before')),
    [emptied],
  )
  await subject.append([insert(5, 'after')])
  // All its lanes have passed it and written on, and nothing of that was committed.
  await subject.deliverAll()
  await subject.log.define({ name: group, tables: [table.name], attributes: {}, at: 0 })
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 5: 'after' })
})

test('a target that is away at a barrier makes its lanes wait, and nothing of what follows is written before', async () => {
  const subject = await begun(3)
  await subject.append(ids.map((id) => insert(id, 'before')))
  await subject.deliverAll()
  let refusals = 0
  subject.index.fault = (operations) => {
    const isPass = operations.every(({ op }) => op === 'delete')
    if (isPass && refusals++ < 3) return { kind: 'refused', failure: 'transient' }
    if (!isPass) assert.ok(refusals > 3, 'what follows is written before the pass')
    return undefined
  }
  await subject.append([], [emptied])
  await subject.append([insert(1, 'after')])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), { 1: 'after' })
  assert.ok(subject.facts.of('target-waiting').length > 0)
})

test('dead letters of rows that are gone are settled', async () => {
  const subject = await begun(2)
  await subject.append([insert(1, 'good'), insert(2, hostile)])
  await subject.deliverAll()
  assert.deepEqual(await subject.letterIds(), ['2'])
  await subject.append([], [emptied])
  await subject.append([insert(1, hostile)])
  await subject.deliverAll()
  assert.deepEqual(subject.documents(), {}, 'the last good document was of a row that is gone')
  assert.deepEqual(await subject.letterIds(), ['1'])
})

test('documents with a value of a foreign key are found at the barrier, and their keys touched', async () => {
  const touched: Key[] = []
  const told: unknown[] = []
  let reread = 0
  const subject = await begun(3, {
    findsBy: () => true,
    describe: () => Promise.resolve(table),
    touch: async ({ keys, addressee }) => {
      told.push(addressee)
      for await (const key of keys) touched.push(key)
    },
    reread: () => Promise.resolve(void reread++),
  })
  await subject.append([...ids.map((id) => insert(id, `row ${id}`)), insert(99, hostile)])
  const effect = { kind: 'cascade', change: 'deleted', column: 'ID', values: ['7', '8', '500'] } as const
  await subject.append([], [{ table: table.name, statement: 'cascade', effect }])
  await subject.deliverAll()
  assert.deepEqual(new Set(touched), new Set(['[7]', '[8]', '[99]']), 'and what was refused')
  assert.ok(told.every((addressee) => addressee === group))
  touched.length = 0
  const also = [{ column: 'name', values: ['"row 8"', '"row 9"'], type: 'varchar(50)' }]
  await subject.append([], [{ table: table.name, statement: 'cascade', effect: { ...effect, also } }])
  await subject.deliverAll()
  assert.deepEqual(new Set(touched), new Set(['[8]', '[99]']), 'both columns have such a value')
  const narrower = [{ ...also[0], type: 'varchar(10)', column: 'name', values: ['"row 8"'] }]
  await subject.append([], [{ table: table.name, statement: '', effect: { ...effect, also: narrower } }])
  await subject.deliverAll()
  assert.ok(reread > 0, 'a column that is of another type is read')
  reread = 0
  const lost = { ...effect, column: 'gone' }
  await subject.append([], [{ table: table.name, statement: 'cascade', effect: lost }])
  await subject.deliverAll()
  assert.ok(reread > 0, 'where it cannot be found out, the table is read')
  assert.equal(isDealtWith({ table: table.name, statement: '', effect }, { table: table.name }), false)
})

test('only what is known to be emptied, of the very table of the documents, is dealt with', () => {
  const { statement } = emptied
  assert.equal(isDealtWith(emptied, { table: table.name }), true)
  assert.equal(isDealtWith(emptied, { table: 'shop.others' }), false)
  assert.equal(isDealtWith({ table: table.name, statement }, { table: table.name }), false)
})
