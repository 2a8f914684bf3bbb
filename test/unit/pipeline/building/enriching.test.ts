import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import type { Work } from '../../../../src/document/enricher.ts'
import { noEntries } from '../../../../src/log/log.ts'
import { enriching, type EnrichStep } from '../../../../src/pipeline/building/enriching.ts'
import type { Reply } from '../../../../src/pipeline/building/shared-answers.ts'
import { textBody, textOfBody } from '../../../../src/sink/sink.ts'
import type { Question } from '../../../../src/upstream/upstream.ts'

const never = new AbortController().signal

function index(id: string, text: string): Work {
  const operation = { id, version: 7n, routing: undefined, repeatable: true, op: 'index' } as const
  return { at: Number(id), operation: { ...operation, body: textBody(text) } }
}

function step(more: Partial<EnrichStep>, answer: (question: Question) => string | undefined | Failure) {
  const asked: Question[] = []
  const made: EnrichStep = {
    field: 'extra',
    upstream: 'oracle',
    parameters: { city: ['city'] },
    onFailure: 'stop',
    missing: 'null',
    inquiries: {
      ask: (questions) => {
        asked.push(...questions)
        return Promise.resolve(
          questions.map((question): Reply => {
            const said = answer(question)
            return said instanceof Failure
              ? { failure: said, answer: undefined }
              : { failure: undefined, answer: said }
          }),
        )
      },
    },
    ...more,
  }
  return { made, asked }
}

async function enriched(works: readonly Work[], steps: readonly EnrichStep[]): Promise<readonly unknown[]> {
  const out = await enriching(() => Promise.resolve(works), steps)(noEntries, never)
  return Array.from(out, ({ operation }) =>
    operation.op === 'delete' ? 'delete' : (operation.remark?.kind ?? textOfBody(operation.body)),
  )
}

test('what is answered is written behind what the document has, which stays byte for byte', async () => {
  const { made, asked } = step({}, ({ city }) => (city === '"x"' ? undefined : `{"of":${city}}`))
  const works = [
    index('1', '{"city":12345678901234567890,"b":1.10}'),
    index('2', '{"city":"x"}'),
    index('3', '{"city":null}'),
    index('4', '{}'),
  ]
  assert.deepEqual(await enriched(works, [made]), [
    '{"city":12345678901234567890,"b":1.10,"extra":{"of":12345678901234567890}}',
    '{"city":"x","extra":null}',
    '{"city":null,"extra":null}',
    '{"extra":null}',
  ])
  assert.deepEqual(asked, [{ city: '12345678901234567890' }, { city: '"x"' }])
})

test('a later step asks with what an earlier one answered', async () => {
  const first = step({ field: 'country' }, () => '{"code":"DE"}')
  const second = step({ field: 'name', parameters: { c: ['country', 'code'] }, missing: 'omit' }, ({ c }) =>
    c === '"DE"' ? '"Germany"' : undefined,
  )
  assert.deepEqual(await enriched([index('1', '{"city":1}')], [first.made, second.made]), [
    '{"city":1,"country":{"code":"DE"},"name":"Germany"}',
  ])
  const omitted = step({ missing: 'omit' }, () => undefined)
  assert.deepEqual(await enriched([index('1', '{"city":1}')], [omitted.made]), ['{"city":1}'])
})

test('a failure stops, refuses the document or leaves the field out, as the step says; deletes are not asked for', async () => {
  const down = new Failure('transient', 'the upstream oracle is down')
  const works = [index('1', '{"city":1}'), index('2', '{"city":2}')]
  const answer = ({ city }: Question): string | Failure => (city === '1' ? down : '"ok"')
  await assert.rejects(enriched(works, [step({}, answer).made]), down)
  assert.deepEqual(await enriched(works, [step({ onFailure: 'dead-letter' }, answer).made]), [
    'refused',
    '{"city":2,"extra":"ok"}',
  ])
  const partial = enriching(() => Promise.resolve(works), [step({ onFailure: 'partial' }, answer).made])
  const [lacking] = await partial(noEntries, never)
  assert.equal(lacking?.operation.remark?.fingerprint, 'upstream oracle: transient')
  assert.equal(lacking.operation.op === 'index' && textOfBody(lacking.operation.body), '{"city":1}')
  const gone: Work = {
    at: 0,
    operation: {
      id: '9',
      version: 1n,
      routing: undefined,
      repeatable: true,
      op: 'delete',
      body: undefined,
    },
  }
  const { made, asked } = step({}, () => '1')
  assert.deepEqual(await enriched([gone], [made]), ['delete'])
  assert.deepEqual(asked, [])
})
