import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createSummary } from '../../../src/observe/summary.ts'
import type { Fact } from '../../../src/pipeline/facts.ts'

const group = 'orders@primary'
const chunk: Fact = {
  kind: 'chunk-appended',
  group,
  table: 'shop.orders',
  rows: 50,
  dropped: 0,
  rowsDone: 50,
  rowsEstimate: 100,
  etaSeconds: 3,
}
const written: Fact = {
  kind: 'written',
  group,
  lane: 0,
  indexed: 20,
  deleted: 3,
  stale: 2,
  busy: 0,
  rejected: 0,
  bytes: 100,
  tookMs: 1,
  latenciesMs: [],
}

suite('a summary', () => {
  test('tells how far a load is', () => {
    assert.match(
      messageAfter(chunk, written),
      /^orders: [\d,]+ changes\/s, lag 0 s, 50 % of shop\.orders read, 3 s left$/,
    )
  })

  test('says no more of a load that has ended', () => {
    const finished: Fact = { kind: 'load-finished', group, rowsDone: 100, seconds: 1 }
    assert.match(messageAfter(chunk, written, finished), /^orders: [\d,]+ changes\/s, lag 0 s$/)
  })
})

function messageAfter(...facts: readonly Fact[]): string {
  const summary = createSummary()
  for (const fact of facts) summary.observe(fact)
  const notes = summary.take(performance.now() + 1000)
  assert.equal(notes.length, 1)
  return notes[0]?.message ?? ''
}
