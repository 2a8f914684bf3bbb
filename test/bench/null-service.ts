/** A target that keeps nothing and answers after a while, as one far away does: what is left is the daemon's own part. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceOperation, ServiceResult } from '../../src/sink/service/service.ts'

export const answerMs = 100

export async function write(batch: {
  readonly operations: readonly ServiceOperation[]
}): Promise<readonly ServiceResult[]> {
  await delay(answerMs)
  return batch.operations.map(() => ({ status: 'applied' }))
}
