import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseGtidSet } from '../../../../../src/source/mysql/gtid/gtid-set.ts'
import { Resent } from '../../../../../src/source/mysql/gtid/resent.ts'

const open = (...gtids: readonly string[]) => gtids.map((gtid) => ({ branch: `of ${gtid}`, gtid, at: 0 }))

test('MariaDB sends what followed a PREPARE in its domain, up to the last one that was read there', () => {
  const resent = new Resent({ executed: parseGtidSet('0-1-10,5-2-18'), open: open('0-1-7', '0-1-9') })
  const of = (origin: string, server: number, number: number) => {
    const first = resent.of({ origin, server, number })
    assert.equal(resent.of({ origin, server, number }), first, 'whoever asks second hears the same')
    return first
  }
  assert.equal(of('0', 1, 7), 'prepare')
  assert.equal(of('5', 2, 19), 'new')
  assert.equal(of('0', 1, 8), 'given')
  assert.equal(of('0', 1, 9), 'prepare')
  assert.equal(of('0', 2, 10), 'given')
  assert.equal(of('0', 1, 10), 'given')
  // Outside strict mode numbers may step back.
  assert.equal(of('0', 3, 4), 'new')
  assert.equal(of('0', 1, 11), 'new')
  assert.equal(resent.isOver, false)
  assert.equal(resent.branchOf('0-1-7'), 'of 0-1-7')
  resent.hasRead('0-1-7')
  resent.hasRead('0-1-9')
  assert.equal(resent.isOver, true)
})

test('what follows the last one is new even where that never comes', () => {
  const resent = new Resent({ executed: parseGtidSet('0-1-10'), open: open('0-1-7') })
  assert.equal(resent.of({ origin: '0', server: 1, number: 8 }), 'given')
  assert.equal(resent.of({ origin: '0', server: 1, number: 12 }), 'new')
})

test('MySQL sends the PREPAREs alone', () => {
  const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
  const resent = new Resent({ executed: parseGtidSet(`${uuid}:1-10`), open: open(`${uuid}:7`) })
  assert.equal(resent.of({ origin: uuid, server: 0, number: 7 }), 'prepare')
  assert.equal(resent.of({ origin: uuid, server: 0, number: 11 }), 'new')
})
