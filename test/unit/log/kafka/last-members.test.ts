import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { LastMembers } from '../../../../src/log/kafka/last-members.ts'

const directory = mkdtempSync(join(tmpdir(), 'members-'))
after(() => rmSync(directory, { recursive: true }))

test('the next process of a folder knows who the one before was, in each group', () => {
  const path = join(directory, 'state', 'members.json')
  const first = new LastMembers(path)
  assert.equal(first.of('orders@main'), undefined)
  first.note('orders@main', 'a')
  first.note('customers@main', 'b')
  first.note('orders@main', 'c')
  const next = new LastMembers(path)
  assert.equal(next.of('orders@main'), 'c')
  assert.equal(next.of('customers@main'), 'b')
})

test('a file that cannot be read says nothing, and is written anew', () => {
  const path = join(directory, 'torn.json')
  writeFileSync(path, '{"orders@main":"a')
  const members = new LastMembers(path)
  assert.equal(members.of('orders@main'), undefined)
  members.note('orders@main', 'b')
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { 'orders@main': 'b' })
})

test('without a file it lasts as long as the process', () => {
  const members = new LastMembers(undefined)
  members.note('orders@main', 'a')
  assert.equal(members.of('orders@main'), 'a')
})
