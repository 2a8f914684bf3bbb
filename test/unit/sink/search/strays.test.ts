import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialectOf } from '../../../../src/sink/search/dialect.ts'
import type { SearchClient } from '../../../../src/sink/search/search-client.ts'
import { findStrays } from '../../../../src/sink/search/strays.ts'
import { textBody, type Operation, type Outcome } from '../../../../src/sink/sink.ts'

const signal = new AbortController().signal
const moved: Operation = {
  op: 'index',
  id: '7',
  version: 5n,
  routing: 'new',
  repeatable: true,
  everywhere: true,
  body: textBody('{}'),
}

const done: Outcome = { kind: 'applied' }

test('a delete of what lies elsewhere spares what was just written, should both lie in one shard', async () => {
  const { deletes } = await findStrays({ client: holding('old'), alias: 'orders' }, [moved], signal)
  assert.deepEqual(
    deletes.map(({ op, routing, version, repeatable }) => [op, routing, version, repeatable]),
    [['delete', 'old', 5n, false]],
  )
})

test('an operation is finished when what lies elsewhere is gone, and not before', async () => {
  const { outcomeOf } = await findStrays({ client: holding('old'), alias: 'orders' }, [moved], signal)
  const failing: readonly Outcome[] = [
    { kind: 'busy', reason: 'no room' },
    { kind: 'unknown', reason: 'a shard failed', fingerprint: 'a shard failed' },
    { kind: 'rejected', reason: 'never', fingerprint: 'never' },
  ]
  for (const outcome of failing) assert.deepEqual(outcomeOf(0, [done, outcome]), outcome)
  assert.deepEqual(outcomeOf(0, [done, done]), done)
  assert.deepEqual(outcomeOf(0, [done, { kind: 'stale', stored: 6n }]), done)
})

/** A server in which the document lies under this routing. */
function holding(routing: string): SearchClient {
  const hits = [{ _id: '7', _version: 3, _routing: routing }]
  return {
    dialect: () => Promise.resolve(dialectOf({ product: 'elasticsearch', version: { major: 9, minor: 4 } })),
    send: () => Promise.resolve({ status: 200, text: JSON.stringify({ hits: { hits } }) }),
    close: () => Promise.resolve(),
  }
}
