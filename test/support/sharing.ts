/** What is shared by nobody else: as one process has it. */
import { MemoryCache } from '../../src/cache/memory/memory-cache.ts'
import type { Clock } from '../../src/pipeline/clock.ts'
import { Sharing } from '../../src/pipeline/building/sharing.ts'

export function sharingAlone(clock: Clock): Sharing {
  const own = new MemoryCache(() => clock.now())
  return new Sharing({ shared: own, own, processes: 1, clock })
}
