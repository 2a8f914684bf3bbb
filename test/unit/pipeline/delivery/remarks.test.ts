import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heedingRemarks } from '../../../../src/pipeline/delivery/remarks.ts'
import { textBody, type Operation, type Outcome, type Remark } from '../../../../src/sink/sink.ts'

function operation(id: string, remark?: Remark): Operation {
  const index = { id, version: 1n, routing: undefined, repeatable: true, op: 'index' } as const
  return { ...index, body: textBody('{}'), ...(remark === undefined ? {} : { remark }) }
}

test('a refused document never reaches the target, one that lacks something is not finished by being written', async () => {
  const sent: string[][] = []
  const outcomes: Record<string, Outcome> = { busy: { kind: 'busy', reason: 'no room' } }
  const sink = heedingRemarks({
    write: (operations) => {
      sent.push(Array.from(operations, ({ id }) => id))
      return Promise.resolve(Array.from(operations, ({ id }) => outcomes[id] ?? { kind: 'applied' }))
    },
  })
  const said = { reason: 'why', fingerprint: 'alike' }
  const refused: Remark = { kind: 'refused', ...said }
  const lacking: Remark = { kind: 'lacking', ...said }
  const signal = new AbortController().signal
  const operations = [
    operation('a'),
    operation('b', refused),
    operation('c', lacking),
    operation('busy', lacking),
  ]
  assert.deepEqual(await sink.write(operations, signal), [
    { kind: 'applied' },
    { kind: 'rejected', ...said },
    { kind: 'incomplete', ...said },
    { kind: 'busy', reason: 'no room' },
  ])
  assert.deepEqual(await sink.write([operation('b', refused)], signal), [{ kind: 'rejected', ...said }])
  assert.deepEqual(sent, [['a', 'c', 'busy']])
})
