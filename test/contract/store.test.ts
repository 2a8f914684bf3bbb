import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { testStore } from './store.contract.ts'

testStore('memory', () => {
  const store = new MemoryStore()
  return Promise.resolve({ store, reopen: () => Promise.resolve(store), close: () => store.close() })
})

testStore('sqlite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  const path = join(directory, 'state', 'state.db')
  let store = openSqliteStore({ path })
  const reopen = async (): Promise<typeof store> => {
    await store.close()
    return (store = openSqliteStore({ path }))
  }
  const close = async (): Promise<void> => {
    await store.close()
    await rm(directory, { recursive: true })
  }
  return { store, reopen, close }
})
