import { MemoryCache } from '../../src/cache/memory/memory-cache.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { testCache } from './cache.contract.ts'

testCache('memory', () => {
  const clock = new VirtualClock()
  const cache = new MemoryCache(() => clock.now())
  return Promise.resolve({
    one: cache,
    other: cache,
    pass: (durationMs) => clock.advance(durationMs),
    close: () => cache.close(),
  })
})
