/** What an upstream that is down or lies does to documents, by each policy: as the schema of pipeline files says it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../src/change/failure.ts'
import type { Work } from '../../src/document/enricher.ts'
import { noEntries } from '../../src/log/log.ts'
import { enriching, type EnrichStep } from '../../src/pipeline/building/enriching.ts'
import { Inquiries } from '../../src/pipeline/building/inquiries.ts'
import { textBody, textOfBody } from '../../src/sink/sink.ts'
import { systemClock } from '../../src/system-clock.ts'
import { HttpUpstream } from '../../src/upstream/http/http-upstream.ts'
import { startService, type Answering, type Service } from '../support/service.ts'
import { sharingAlone } from '../support/sharing.ts'

const never = new AbortController().signal
const redirected = { status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' } }

const faults: Readonly<Record<string, readonly [FailureKind, Answering]>> = {
  'that is down': ['transient', () => ({ status: 500 })],
  'that has too much to do': ['overload', () => ({ status: 429, headers: { 'retry-after': '0' } })],
  'that is slow': ['transient', () => new Promise(() => {})],
  'that is cut off in the middle of its answer': ['transient', () => ({ body: '[{"t":1},', isCut: true })],
  'that sends no JSON': ['transient', () => ({ body: '[{"t":1}' })],
  'that sends no list of answers': ['transient', () => ({ body: '{"id":1,"t":1}' })],
  'that answers too much': ['transient', () => ({ body: `["${'x'.repeat(3000)}",1]` })],
  'that answers to something else': ['transient', () => ({ body: '[{"id":1},{"id":8}]' })],
  'that sends us elsewhere': ['configuration', () => redirected],
  'that does not know us': ['unauthorised', () => ({ status: 401 })],
  'that refuses the question': ['rejected', () => ({ status: 400 })],
}

for (const [what, [kind, answer]] of Object.entries(faults))
  test(`an upstream ${what}: stop tells why, a dead letter is made, or the part is left out; well again, all is whole`, async () => {
    await using service = await startService(answer)
    // As long as it takes to tell that an answer is late.
    const patienceMs = what === 'that is slow' ? 30 : 10_000
    const found = (policy: EnrichStep['onFailure']) => enriched(service, policy, patienceMs)
    await assert.rejects(found('stop'), (error) => error instanceof Failure && error.kind === kind)
    assert.deepEqual(await found('dead-letter'), [
      ['refused', `upstream oracle: ${kind}`, '{"id":1}'],
      ['refused', `upstream oracle: ${kind}`, '{"id":2}'],
    ])
    assert.deepEqual(await found('partial'), [
      ['lacking', `upstream oracle: ${kind}`, '{"id":1}'],
      ['lacking', `upstream oracle: ${kind}`, '{"id":2}'],
    ])
    service.answer = () => ({ body: '[{"id":2,"t":20},{"id":1,"t":10}]' })
    assert.deepEqual(await enriched(service, 'partial', 10_000), [
      [undefined, undefined, '{"id":1,"degrees":10}'],
      [undefined, undefined, '{"id":2,"degrees":20}'],
    ])
  })

/** Of two documents: the kind of the remark, its fingerprint, and the text. */
async function enriched(
  service: Service,
  onFailure: EnrichStep['onFailure'],
  timeoutMs: number,
): Promise<readonly (readonly (string | undefined)[])[]> {
  const upstream = new HttpUpstream({
    name: 'oracle',
    url: service.url,
    method: 'post',
    headers: {},
    answers: [],
    value: ['t'],
    key: ['id'],
    questionsMax: 10,
    timeoutMs,
    responseBytesMax: 2000,
  })
  const inquiries = new Inquiries({ name: 'oracle', shelf: 'oracle', upstream, ...surroundings })
  const step = { field: 'degrees', upstream: 'oracle', parameters: { id: ['id'] }, missing: 'null' } as const
  const enrich = enriching(() => Promise.resolve([work('1'), work('2')]), [{ ...step, onFailure, inquiries }])
  return [...(await enrich(noEntries, never))].map(({ operation: { remark, body } }) => [
    remark?.kind,
    remark?.fingerprint,
    body && textOfBody(body),
  ])
}

const surroundings = {
  limits: {
    requestsPerSecond: 0,
    concurrency: 1,
    retries: 0,
    breakerFailures: 100,
    breakerMs: 1000,
    cacheMs: 0,
    cacheEntries: 1,
  },
  sharing: sharingAlone(systemClock),
  clock: systemClock,
  observe: () => {},
}

function work(id: string): Work {
  const placed = { id, version: 7n, routing: undefined, repeatable: true, op: 'index' } as const
  return { at: Number(id) - 1, operation: { ...placed, body: textBody(`{"id":${id}}`) } }
}
