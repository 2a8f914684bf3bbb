import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import { failureOf, readBulk, refusal } from '../../../../src/sink/search/outcomes.ts'
import type { Operation, Outcome } from '../../../../src/sink/sink.ts'
import { bodyOf } from '../../../support/bodies.ts'

const put: Operation = {
  op: 'index',
  id: '1',
  version: 5n,
  routing: undefined,
  repeatable: true,
  body: bodyOf('{}'),
}
const del: Operation = {
  op: 'delete',
  id: '1',
  version: 5n,
  routing: undefined,
  repeatable: true,
  body: undefined,
}

const orders = { alias: 'orders', index: 'orders-1' }
const here = { _index: orders.index }

type Told = readonly [status: number, type: string, reason?: string]

/** The outcome of one item that the server answers so. */
function outcome([status, type, reason = 'why']: Told, operation = put): Outcome | undefined {
  const item = { [operation.op]: { status, error: { type, reason } } }
  return readBulk(JSON.stringify({ errors: true, items: [item] }), [operation], orders).outcomes[0]
}

function answer(status: number, error?: unknown): { status: number; text: string } {
  return { status, text: error === undefined ? '<html>' : JSON.stringify({ error, status }) }
}

function failureKind(work: () => unknown): FailureKind | undefined {
  try {
    work()
  } catch (error) {
    return error instanceof Failure ? error.kind : assert.fail(String(error))
  }
  return undefined
}

describe('the items of a bulk answer', () => {
  it('are all applied where there are no errors, with and without parsing', () => {
    for (const space of [0, 2]) {
      const items = [
        { index: { ...here, status: 201 } },
        { delete: { ...here, status: 404 } },
        { index: { ...here, status: 200 } },
      ]
      const reading = readBulk(
        JSON.stringify({ errors: false, items }, undefined, space),
        [put, del, put],
        orders,
      )
      assert.deepEqual(reading.outcomes, [{ kind: 'applied' }, { kind: 'applied' }, { kind: 'applied' }])
      assert.ok(reading.missed)
    }
    assert.ok(
      !readBulk('{"errors":false,"items":[{"delete":{"_index":"orders-1","status":200}}]}', [del], orders)
        .missed,
    )
  })

  it('must be as many as the operations', () => {
    const text = '{"errors":false,"items":[{"index":{"_index":"orders-1","status":200}}]}'
    assert.equal(
      failureKind(() => readBulk(text, [put, put], orders)),
      'transient',
    )
    assert.equal(
      failureKind(() => readBulk(text, [], orders)),
      'transient',
    )
    assert.equal(
      failureKind(() => readBulk(text.slice(0, -3), [put], orders)),
      'transient',
    )
    assert.equal(
      failureKind(() => readBulk('{}', [put], orders)),
      'transient',
    )
  })

  it('count where they are of the index that was meant, and nowhere else', () => {
    const elsewhere = { _index: 'orders-2' }
    const answers = [
      { index: { ...elsewhere, status: 200 } },
      { index: { status: 200 } },
      { index: { ...elsewhere, status: 409, error: { type: 'version_conflict_engine_exception' } } },
      { index: { ...elsewhere, status: 400, error: { type: 'document_parsing_exception' } } },
    ]
    for (const item of answers) {
      const text = JSON.stringify({
        errors: 'error' in item.index,
        items: [{ index: { ...here, status: 200 } }, item],
      })
      assert.equal(
        failureKind(() => readBulk(text, [put, put], orders)),
        'target',
      )
      const ofFamily = { alias: 'orders', index: undefined }
      assert.equal(readBulk(text, [put, put], ofFamily).outcomes.length, 2)
    }
  })

  it('tell the stored version exactly, whatever the id says', () => {
    const reason =
      '[current version [1] is]: version conflict, current version [9223372036854775807] is higher than the one provided [5]'
    assert.deepEqual(outcome([409, 'version_conflict_engine_exception', reason]), {
      kind: 'stale',
      stored: 9223372036854775807n,
    })
    assert.deepEqual(outcome([409, 'version_conflict_engine_exception', 'other words']), {
      kind: 'stale',
      stored: undefined,
    })
  })
})

describe('an item of a bulk answer', () => {
  it('is busy where the server has no room or no time', () => {
    const told: readonly Told[] = [
      [429, 'es_rejected_execution_exception'],
      [429, 'circuit_breaking_exception'],
      [503, 'process_cluster_event_timeout_exception'],
      [500, 'already_closed_exception'],
      [
        503,
        'cluster_block_exception',
        'blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];',
      ],
    ]
    for (const each of told) assert.equal(outcome(each)?.kind, 'busy', each.join(' '))
  })

  it('is unknown where the server fails without saying of what kind', () => {
    const told: readonly Told[] = [
      [500, 'null_pointer_exception'],
      [500, 'illegal_state_exception', 'never seen'],
    ]
    for (const each of told) assert.equal(outcome(each)?.kind, 'unknown', each.join(' '))
  })

  it('is rejected for what is wrong with the document itself', () => {
    const told: readonly Told[] = [
      [400, 'document_parsing_exception'],
      [400, 'mapper_parsing_exception'],
      [400, 'illegal_argument_exception', 'Document contains at least one immense term in field="name"'],
      [400, 'strict_dynamic_mapping_exception'],
    ]
    for (const each of told) assert.equal(outcome(each)?.kind, 'rejected', each.join(' '))
  })

  it('stops everything where the target is in trouble', () => {
    const told: readonly (readonly [FailureKind, Told])[] = [
      [
        'target',
        [404, 'index_not_found_exception', 'no such index [x] and [require_alias] request flag is [true]'],
      ],
      ['target', [400, 'index_closed_exception']],
      ['target', [403, 'cluster_block_exception', 'index [x] blocked by: [FORBIDDEN/8/index write (api)];']],
      [
        'target',
        [429, 'cluster_block_exception', 'TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark'],
      ],
      ['target', [503, 'unavailable_shards_exception']],
      ['target', [400, 'illegal_argument_exception', 'Limit of total fields [1000] has been exceeded']],
      ['target', [400, 'illegal_argument_exception', 'no write index is defined for alias [x]']],
      ['unauthorised', [403, 'security_exception', 'action is unauthorized for user']],
      ['unauthorised', [401, 'security_exception']],
    ]
    for (const [kind, each] of told)
      assert.equal(
        failureKind(() => outcome(each)),
        kind,
        each.join(' '),
      )
  })

  it('shares a fingerprint when only values differ, and show none', () => {
    const bad = (value: string): Outcome | undefined =>
      outcome([
        400,
        'document_parsing_exception',
        `[1:${value.length}] failed to parse field [price] of type [integer] in document with id '${value}'. ` +
          `Preview of field's value: '${value}'`,
      ])
    const [first, second] = [bad('secret-1'), bad('another-22')]
    assert.ok(first?.kind === 'rejected' && second?.kind === 'rejected')
    assert.equal(first.fingerprint, second.fingerprint)
    assert.match(first.fingerprint, /failed to parse field \[price\] of type \[integer\]/)
    assert.doesNotMatch(first.reason + first.fingerprint, /secret/)
    const other = outcome([400, 'document_parsing_exception', 'failed to parse field [name] of type [date]'])
    assert.ok(other?.kind === 'rejected' && other.fingerprint !== first.fingerprint)
  })
})

describe('a refused call', () => {
  it('has the kind that says what to do', () => {
    const expected: readonly (readonly [FailureKind, { status: number; text: string }])[] = [
      ['overload', answer(429)],
      ['overload', answer(429, { type: 'es_rejected_execution_exception', reason: '' })],
      ['transient', answer(502)],
      ['transient', answer(503, { type: 'master_not_discovered_exception', reason: '' })],
      ['target', answer(503, { type: 'no_shard_available_action_exception', reason: '' })],
      ['unauthorised', answer(401, { type: 'security_exception', reason: 'unable to authenticate user' })],
      ['unauthorised', answer(403)],
      ['target', answer(404, { type: 'index_not_found_exception', reason: '' })],
      ['target', answer(404)],
      ['target', answer(302)],
      ['target', answer(400, { type: 'illegal_argument_exception', reason: '' })],
    ]
    for (const [kind, each] of expected) {
      const failure = failureOf(each, 'writing')
      assert.equal(failure.kind, kind, JSON.stringify(each))
      if (kind === 'target' || kind === 'unauthorised')
        assert.ok((failure.remedy ?? '').length > 0 || each.status === 400)
    }
  })

  it('is about one document only where the server says so', () => {
    assert.equal(refusal(answer(413))?.kind, 'rejected')
    assert.equal(
      refusal(answer(400, { type: 'action_request_validation_exception', reason: 'id is too long' }))?.kind,
      'rejected',
    )
    assert.equal(refusal(answer(400)), undefined)
    assert.equal(refusal(answer(400, { type: 'index_closed_exception', reason: '' })), undefined)
    assert.equal(refusal(answer(503, { type: 'x', reason: '' })), undefined)
  })
})
