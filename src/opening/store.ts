/** Opens the store of small state: the one place that knows how it is stored. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../change/failure.ts'
import { storeConnection } from '../config/connection.ts'
import type { Configuration } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { tlsOf } from './pem.ts'
import type { Finding } from '../source/source.ts'
import { createMysqlStore } from '../store/mysql/mysql-store.ts'
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts'
import type { Store } from '../store/store.ts'

/** Throws a Failure of kind `configuration` where the store's tables are captured: it would hear of itself for ever. */
export function openStore({ settings, pipelines }: Pick<Configuration, 'settings' | 'pipelines'>): Store {
  const { kind, prefix, tls } = settings.store
  if (kind === 'sqlite') return openSqliteStore({ path: fileOf(settings) })
  const place = storeConnection(settings.store)
  const own = pipelines.find(({ definition }) => definition.table.startsWith(`${place.schema}.${prefix}`))
  if (own !== undefined) {
    throw new Failure(
      'configuration',
      `${own.definition.table} of pipeline ${own.name} is a table of the store`,
      {
        remedy: 'choose another store.prefix, or another schema in store.url',
      },
    )
  }
  return createMysqlStore({ ...place, prefix, tls: tlsOf(tls) })
}

/** What is wrong with the store is told at once; a server that is away may come back. */
export async function reachableStore(configuration: Configuration): Promise<Store> {
  const store = openStore(configuration)
  try {
    await store.list('', undefined, 1)
  } catch (error) {
    if (!(error instanceof Failure) || !['transient', 'overload'].includes(error.kind)) {
      await store.close()
      throw error
    }
  }
  return store
}

/** For commands that only look; undefined = there is none yet. */
export function existingStore(
  configuration: Pick<Configuration, 'settings' | 'pipelines'>,
): Store | undefined {
  const { settings } = configuration
  if (settings.store.kind === 'sqlite' && !existsSync(fileOf(settings))) return undefined
  return openStore(configuration)
}

/** What it writes where. Never throws for a bad one. */
export async function examineStore(configuration: Configuration): Promise<readonly Finding[]> {
  const { kind, prefix } = configuration.settings.store
  if (kind === 'sqlite') {
    return [{ level: 'ok', fact: 'store', found: `${fileOf(configuration.settings)}, for one machine` }]
  }
  try {
    const { host, port, schema } = storeConnection(configuration.settings.store)
    const store = openStore(configuration)
    try {
      await store.list('', undefined, 1)
    } finally {
      await store.close()
    }
    const found = `writes the tables ${schema}.${prefix}* at ${host}:${port} and nothing else`
    return [{ level: 'ok', fact: 'store', found }]
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const found = { level: 'fatal', fact: 'store', found: error.message } as const
    return [error.remedy === undefined ? found : { ...found, remedies: { mysql: error.remedy } }]
  }
}

function fileOf({ state }: Settings): string {
  return join(state, 'state.db')
}
