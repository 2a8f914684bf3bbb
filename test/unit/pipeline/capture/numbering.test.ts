import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../src/change/failure.ts'
import type { Control } from '../../../../src/log/log.ts'
import { advance, epochAbove, highestVersion, versionOf } from '../../../../src/pipeline/capture/numbering.ts'

const seqMax = 2 ** 48 - 1
const epochs = fc.integer({ min: 1, max: 32767 })
const seqs = fc.integer({ min: 0, max: seqMax })

function controlAt(epoch: number, seq: number): Control {
  return { lineage: 'l', epoch, seq, lanes: 4, producers: { 'source:main': '7' } }
}

test('versions order as (epoch, seq) do, and fit into 63 bits', () => {
  fc.assert(
    fc.property(epochs, seqs, epochs, seqs, (epoch, seq, otherEpoch, otherSeq) => {
      const [version, other] = [versionOf(epoch, seq), versionOf(otherEpoch, otherSeq)]
      const order = Math.sign(epoch - otherEpoch) || Math.sign(seq - otherSeq)
      assert.equal(version > other ? 1 : version < other ? -1 : 0, order)
      assert(version > 0n && version < 2n ** 63n)
    }),
  )
})

test('an epoch or a sequence number out of its range is a bug', () => {
  for (const [epoch, seq] of [
    [0, 1],
    [32768, 1],
    [1.5, 1],
    [1, -1],
    [1, seqMax + 1],
  ] as const)
    assert.throws(() => versionOf(epoch, seq), { name: 'AssertionError' })
})

test('numbers are given once: batch after batch ascends without an overlap, and the rest of the control stays', () => {
  fc.assert(
    fc.property(epochs, fc.nat(1_000_000), fc.array(fc.nat(500)), (epoch, start, counts) => {
      let control = controlAt(epoch, start)
      let highest = highestVersion(control)
      for (const count of counts) {
        const { firstSeq, control: next } = advance(control, count)
        if (count > 0) assert(versionOf(epoch, firstSeq) > highest)
        assert.equal(next.seq, firstSeq + count - 1)
        assert.deepEqual({ ...next, seq: 0 }, { ...control, seq: 0 })
        highest = highestVersion(next)
        control = next
      }
    }),
  )
})

test('when the sequence numbers of an epoch are used up, capture stops and says what to do', () => {
  assert.equal(advance(controlAt(1, seqMax - 2), 2).control.seq, seqMax)
  assert.throws(
    () => advance(controlAt(1, seqMax - 2), 3),
    (error) => error instanceof Failure && error.kind === 'unsupported' && error.remedy !== undefined,
  )
})

test('a new log takes an epoch above every one that its targets have seen', () => {
  assert.equal(epochAbove([]), 1)
  assert.equal(epochAbove([3, 7, 5]), 8)
  assert.equal(epochAbove([32766]), 32767)
  assert.throws(() => epochAbove([32767]), Failure)
})
