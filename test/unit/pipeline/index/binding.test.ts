import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import type { Control, Group } from '../../../../src/log/log.ts'
import {
  assertBound,
  bind,
  missedBy,
  missing,
  markOf,
  type Binding,
  type BindingQuestion,
} from '../../../../src/pipeline/index/binding.ts'
import type { IndexMark, IndexState } from '../../../../src/sink/sink.ts'

const control: Control = { lineage: 'ours', epoch: 3, seq: 70, lanes: 2, producers: {} }
const ourMark: IndexMark = { pipeline: 'items', lineage: 'ours', epoch: 3 }
const noWishes = { reload: false, keep: false, adopt: false }

const group: Group = {
  name: 'items@main',
  tables: ['shop.items'],
  lanes: [5, 6],
  attributes: { uuid: 'u1', fingerprint: 'definition' },
  lost: false,
}
const index: IndexState = { name: 'items-1', uuid: 'u1', documents: 9, mark: ourMark }

function question(changed: Partial<BindingQuestion>): BindingQuestion {
  return {
    pipeline: 'items',
    label: 'items',
    alias: 'items',
    tables: ['shop.items', 'shop.parts'],
    control,
    group,
    index,
    fingerprint: 'definition',
    differences: () => ['the field price is new'],
    wishes: noWishes,
    loads: true,
    ...changed,
  }
}

function assertRefused(changed: Partial<BindingQuestion>, kind: FailureKind, remedy: RegExp): void {
  assert.throws(
    () => bind(question(changed)),
    (error) => error instanceof Failure && error.kind === kind && remedy.test(error.remedy ?? ''),
  )
}

function assertBinding(changed: Partial<BindingQuestion>, expected: Binding): void {
  assert.deepEqual(bind(question(changed)), expected)
}

const goOn: Binding = { create: false, load: 'none', epoch: 3 }
const renew: Binding = { create: false, load: 'renew', epoch: 3 }

test('a group goes on with the index that it has been filling', () => {
  assertBinding({}, goOn)
})

test('without an index one is made, and filled if the pipeline wants that', () => {
  assertBinding({ group: undefined, index: undefined }, { create: true, load: 'fill', epoch: 3 })
  assertBinding(
    { group: undefined, index: undefined, loads: false },
    { create: true, load: 'none', epoch: 3 },
  )
})

test('an index that has gone is made again and loaded whole, whatever the start was, and swept of old dead letters', () => {
  assertBinding({ index: undefined }, { create: true, load: 'renew', epoch: 3 })
  assertBinding({ index: undefined, loads: false }, { create: true, load: 'renew', epoch: 3 })
})

test('a wish to reload or to adopt loads, whatever the start was', () => {
  for (const wish of [{ reload: true }, { adopt: true }]) {
    const wished = { group: undefined, loads: false, wishes: { ...noWishes, ...wish } }
    assertBinding(wished, renew)
    assertBinding({ ...wished, index: undefined }, { create: true, load: 'fill', epoch: 3 })
  }
})

test('a new group takes an index of its own lineage, and renews it', () => {
  assertBinding({ group: undefined }, renew)
  assertBinding({ group: undefined, loads: false }, goOn)
})

test('a new log goes on with the index of a log that was lost, if its epoch is higher', () => {
  const lost = { ...index, mark: { ...ourMark, lineage: 'lost', epoch: 2 } }
  assertBinding({ group: undefined, index: lost }, renew)
})

test('an index of a foreign lineage whose epoch is not below ours is refused, unless a person adopts it', () => {
  const foreign = { ...index, mark: { ...ourMark, lineage: 'theirs', epoch: 3 } }
  assertRefused({ group: undefined, index: foreign }, 'conflict', /--adopt items/)
  const adopt = { ...noWishes, adopt: true }
  assertBinding({ group: undefined, index: foreign, wishes: adopt }, { ...renew, epoch: 4 })
  assertBinding({ index: foreign, wishes: adopt }, { ...renew, epoch: 4 })
})

test('an index that another log took from a group is refused, whatever its epoch', () => {
  assertRefused(
    { index: { ...index, mark: { ...ourMark, lineage: 'theirs', epoch: 1 } } },
    'conflict',
    /--adopt/,
  )
})

test('an index of another pipeline is refused, even of our own lineage', () => {
  const others = { ...index, mark: { ...ourMark, pipeline: 'orders' } }
  assertRefused({ index: others }, 'conflict', /--adopt items/)
  assertRefused({ group: undefined, index: others }, 'conflict', /--adopt items/)
})

test('an index that millrace did not write is refused unless it is empty or a person adopts it', () => {
  const strange = { ...index, mark: undefined }
  assertRefused({ group: undefined, index: strange }, 'conflict', /--adopt items/)
  assertBinding({ group: undefined, index: { ...strange, documents: 0 } }, renew)
  assertBinding({ group: undefined, index: strange, wishes: { ...noWishes, adopt: true } }, renew)
})

test('an index that was restored or replaced under its group is refused until a person reloads it', () => {
  const replaced = { ...index, uuid: 'u2' }
  assertRefused({ index: replaced }, 'conflict', /--reload items/)
  assertRefused({ index: { ...replaced, mark: undefined } }, 'conflict', /--reload items/)
  assertBinding({ index: replaced, wishes: { ...noWishes, reload: true } }, renew)
})

test('an index that its alias had left is filled again: what was written meanwhile may lie elsewhere', () => {
  const astray = { ...group, attributes: { ...group.attributes, astray: 'yes' } }
  assertBinding({ group: astray }, renew)
  assertRefused({ group: astray, index: { ...index, uuid: 'u2' } }, 'conflict', /--reload items/)
})

test('a group whose tables were not captured for a while is filled again, whatever a person keeps', () => {
  const without = (table: string): Group => ({ ...group, attributes: missing(group, [table]) })
  assertBinding({ group: without('shop.parts') }, renew)
  const changed = { fingerprint: 'another definition', wishes: { ...noWishes, keep: true } }
  assertBinding({ group: without('shop.parts'), ...changed }, renew)
  assertBinding({ group: without('shop.parts'), ...changed, tables: ['shop.items'] }, goOn)
  const both = { ...group, attributes: missing(without('shop.parts'), ['shop.items']) }
  assert.deepEqual(missedBy(both), ['shop.parts', 'shop.items'])
})

test('an empty index with our mark was made by us just before a crash: it is loaded', () => {
  assertBinding({ index: { ...index, uuid: 'u2', documents: 0 } }, renew)
  const notOurs = { ...index, uuid: 'u2', documents: 0, mark: undefined }
  assertRefused({ index: notOurs }, 'conflict', /--reload items/)
})

test('a changed pipeline file is refused with its differences until a person reloads or keeps', () => {
  const changed = { fingerprint: 'another definition' }
  assertRefused(changed, 'configuration', /--reload items.*--keep items/)
  assert.throws(() => bind(question(changed)), /the field price is new/)
  assertBinding({ ...changed, wishes: { ...noWishes, keep: true } }, goOn)
  assertBinding({ ...changed, wishes: { ...noWishes, reload: true } }, renew)
})

test('a group that retention overtook is refused until a person reloads it; keeping does not help', () => {
  const lost = { group: { ...group, lost: true } }
  assertRefused(lost, 'lost', /--reload items/)
  assertRefused({ ...lost, wishes: { ...noWishes, keep: true } }, 'lost', /--reload items/)
  assertBinding({ ...lost, wishes: { ...noWishes, reload: true } }, renew)
})

test('the mark of an index says whose it is and in which epoch', () => {
  assert.deepEqual(markOf('items', control), ourMark)
})

const bound = { label: 'items', alias: 'items', uuid: 'u1', lineage: 'ours' }

test('while it runs, the index that is the same under our mark or none is fine', () => {
  assertBound({ ...bound, index })
  assertBound({ ...bound, index: { ...index, mark: undefined } })
})

test('while it runs, an index that has gone, or whose template has, starts the pipeline anew; one replaced or taken over stops it', () => {
  const cases: readonly (readonly [IndexState | undefined, FailureKind])[] = [
    [undefined, 'transient'],
    [{ ...index, lacksTemplate: true }, 'transient'],
    [{ ...index, uuid: 'u2' }, 'conflict'],
    [{ ...index, mark: { ...ourMark, lineage: 'theirs' } }, 'conflict'],
  ]
  for (const [found, kind] of cases) {
    assert.throws(
      () => assertBound({ ...bound, index: found }),
      (error) => error instanceof Failure && error.kind === kind,
    )
  }
})
