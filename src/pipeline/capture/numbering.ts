/**
 * Versions: `epoch << 48 | seq`, 63 bits. The capture leader alone gives them, at append; the sequence only grows, with
 * gaps allowed, and goes on after a restart from the log's own control record.
 */
import assert from 'node:assert/strict'
import type { Control } from '../../log/log.ts'
import { Failure } from '../../change/failure.ts'

const epochMax = 32767
const seqMax = 2 ** 48 - 1

export function versionOf(epoch: number, seq: number): bigint {
  assert(Number.isInteger(epoch) && epoch >= 1 && epoch <= epochMax, 'an epoch is 1 to 32767')
  assert(Number.isInteger(seq) && seq >= 0 && seq <= seqMax, 'a sequence number is below 2^48')
  return (BigInt(epoch) << 48n) | BigInt(seq)
}

export function seqOf(version: bigint): number {
  return Number(version & 0xffff_ffff_ffffn)
}

export function epochOf(version: bigint): number {
  return Number(version >> 48n)
}

/** The highest version that a log with this control record can have given. */
export function highestVersion(control: Control): bigint {
  return versionOf(control.epoch, control.seq)
}

/** The control record after `count` changes, and the number of the first of them. */
export function advance(
  control: Control,
  count: number,
): { readonly firstSeq: number; readonly control: Control } {
  if (control.seq + count > seqMax) {
    throw new Failure('unsupported', `the sequence numbers of epoch ${control.epoch} are used up`, {
      remedy: 'start the pipeline with a new state folder: it takes the next epoch and loads in full',
    })
  }
  return { firstSeq: control.seq + 1, control: { ...control, seq: control.seq + count } }
}

/** The first epoch of a new log: above everything that its targets have seen. */
export function epochAbove(seen: readonly number[]): number {
  const epoch = Math.max(0, ...seen) + 1
  if (epoch > epochMax) {
    throw new Failure('unsupported', `epoch ${epoch} is above the highest, ${epochMax}`, {
      remedy: 'delete the index and load it anew',
    })
  }
  return epoch
}
