import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { configurationOf } from '../../../src/config/load.ts'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { openStore } from '../../../src/opening/store.ts'

const settings = (url: string) =>
  configurationOf({ store: { kind: 'mysql', url, prefix: 'm_' } }, '.').settings

test('a store whose tables are captured is refused: it would hear of itself for ever', async () => {
  const configuration = {
    settings: settings('mysql://u:p@127.0.0.1:3306/shop'),
    pipelines: [capturing('shop.m_value')],
  }
  assert.throws(
    () => openStore(configuration),
    (error) =>
      error instanceof Failure && error.kind === 'configuration' && /shop\.m_value/.test(error.message),
  )
  const other = { ...configuration, pipelines: [capturing('shop.items')] }
  await openStore(other).close()
})

test('a store in MySQL needs the name of a schema', () => {
  assert.throws(() => settings('mysql://u:p@127.0.0.1:3306/'), /names no schema/)
})

function capturing(table: string): Pipeline {
  return { name: 'one', definition: { table } } as Pipeline
}
