import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { createLogger, type LoggerRequest } from '../../../src/observe/logger.ts'
import type { Fact } from '../../../src/pipeline/facts.ts'

const group = 'orders@primary'
const written: Fact = {
  kind: 'written',
  group,
  lane: 0,
  indexed: 10,
  deleted: 0,
  stale: 0,
  busy: 0,
  rejected: 0,
  bytes: 1,
  tookMs: 1,
  latenciesMs: [],
}
const letter: Fact = {
  kind: 'dead-letter',
  group,
  id: 'row-42',
  reason: "value: 'private'",
  fingerprint: 'mapper',
}

function logger(t: TestContext, request: Partial<LoggerRequest> = {}) {
  const lines: string[] = []
  const made = createLogger({
    level: 'info',
    pretty: false,
    redact: (text) => text,
    write: (line) => lines.push(line),
    ...request,
  })
  t.after(made.close)
  const messages = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  return { ...made, lines, messages }
}

test('frequent facts are one line in sum, and lines of their own for those who look closely', (t) => {
  const { observe, summarise, messages } = logger(t)
  for (let count = 0; count < 100; count++) observe(written)
  observe({ kind: 'lag', group, pipeline: 'orders', target: 'primary', changes: 3, seconds: 0.42 })
  assert.deepEqual(messages(), [])
  summarise()
  assert.equal(messages().length, 1)
  assert.match(messages()[0] ?? '', /^orders: [\d,]+ changes\/s, lag 0\.4 s$/)
  summarise()
  assert.equal(messages().length, 1)
  const close = logger(t, { level: 'debug' })
  close.observe(written)
  assert.equal(close.lines.length, 1)
})

test('a failure is told with kind, remedy and cause', (t) => {
  const { observe, lines } = logger(t)
  const failure = new Failure('target', 'the index is gone', { remedy: 'make it', cause: new Error('404') })
  observe({ kind: 'pipeline-state', pipeline: 'orders', group, state: 'failed', failure })
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  assert.equal(line['level'], 'error')
  assert.equal(line['msg'], 'orders: failed: the index is gone; remedy: make it')
  assert.deepEqual([line['failure'], line['remedy'], line['cause']], ['target', 'make it', '404'])
})

test('neither ids nor what a target quotes of a document gets into a line', (t) => {
  const { observe, summarise, lines, messages } = logger(t)
  for (let count = 0; count < 3; count++) observe(letter)
  summarise()
  assert.doesNotMatch(lines.join(''), /row-42|private/)
  assert.deepEqual(messages(), [
    'orders: a document was refused for good and put aside: mapper',
    'orders: 3 documents were put aside',
  ])
})

test('secrets are taken out of every line, pretty ones too', (t) => {
  for (const pretty of [false, true]) {
    const { observe, lines } = logger(t, { pretty, redact: (text) => text.replaceAll('open-sesame', '****') })
    observe({
      kind: 'restarting',
      part: 'capture',
      failure: new Failure('transient', 'open-sesame'),
      attempt: 1,
      waitMs: 900,
    })
    assert.match(lines.join(''), /capture: \*\*\*\*; attempt 2 in 0\.9 s/)
    assert.doesNotMatch(lines.join(''), /sesame/)
  }
})
