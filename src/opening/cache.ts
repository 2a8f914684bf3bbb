/** Opens what processes share: the one place that knows how it is kept. */
import { MemoryCache } from '../cache/memory/memory-cache.ts'
import { RedisCache } from '../cache/redis/redis-cache.ts'
import type { Failure } from '../change/failure.ts'
import { cacheConnection } from '../config/connection.ts'
import type { CacheSettings, Settings } from '../config/schema.ts'
import { tlsOf } from './pem.ts'
import type { Observe } from '../pipeline/facts.ts'
import { Sharing } from '../pipeline/building/sharing.ts'
import type { Finding } from '../source/source.ts'
import { systemClock } from '../system-clock.ts'

/** Never waits for it, and throws nothing where it is away. */
export function openSharing({ cache }: Pick<Settings, 'cache'>, observe: Observe): Sharing {
  const own = new MemoryCache(() => systemClock.elapsed())
  if (cache.kind === 'memory') return new Sharing({ shared: own, own, processes: 1, clock: systemClock })
  const shared = openRedis(cache, (failure) => observe({ kind: 'cache-state', failure }))
  return new Sharing({ shared, own, processes: cache.processes ?? 1, clock: systemClock })
}

/** Whether it can be reached. */
export async function examineCache({ cache }: Pick<Settings, 'cache'>): Promise<readonly Finding[]> {
  if (cache.kind === 'memory') return []
  const fact = 'cache'
  const told = Promise.withResolvers<Failure | undefined>()
  const opened = openRedis(cache, told.resolve)
  try {
    const failure = await told.promise
    if (failure === undefined)
      return [{ level: 'ok', fact, found: `shared by up to ${cache.processes} processes` }]
    const found: Finding = { level: 'warning', fact, found: failure.message }
    return [failure.remedy === undefined ? found : { ...found, remedies: { mysql: failure.remedy } }]
  } finally {
    await opened.close()
  }
}

function openRedis(cache: CacheSettings, tell: (failure: Failure | undefined) => void): RedisCache {
  const { prefix, tls, url = '' } = cache
  const encrypted = url.startsWith('rediss:') && tls.mode === 'off' ? { ...tls, mode: 'verify' } : tls
  return new RedisCache({ ...cacheConnection(cache), prefix, tls: tlsOf(encrypted), tell })
}
