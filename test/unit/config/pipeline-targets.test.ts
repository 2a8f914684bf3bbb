import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { loadConfiguration, type Configuration } from '../../../src/config/load.ts'
import { commandLine } from '../../support/command-line.ts'

const settings = `
sources: {main: {url: "mysql://app@db/"}}
targets:
  primary: {url: "http://search:9200"}
  nightly: {url: "http://nightly:9200", tags: [backfill, quiet]}
  weekly: {url: "http://weekly:9200", tags: [quiet]}
  writer: {kind: http, url: "http://writer:80"}
`

function load(t: TestContext, pipeline: string): Configuration {
  const { folder, write } = commandLine(t)
  write('config/millrace.yaml', settings)
  write('config/pipelines/orders.yaml', `table: shop.orders\n${pipeline}`)
  return loadConfiguration({ environment: {}, workingDirectory: folder })
}

function assertRefused(t: TestContext, pipeline: string, message: RegExp): void {
  assert.throws(
    () => load(t, pipeline),
    (error) => error instanceof Failure && error.kind === 'configuration' && message.test(error.message),
  )
}

test('the tag of one target names the way of tasks', (t) => {
  const [pipeline] = load(t, 'target: {name: primary, taskTag: backfill}').pipelines
  assert.deepEqual([pipeline?.target.name, pipeline?.target.ofTasks], ['primary', 'nightly'])
  assert.equal(load(t, 'target: {name: primary}').pipelines[0]?.target.ofTasks, undefined)
})

test('a tag of none or of several, and one for documents with children, are refused', (t) => {
  assertRefused(t, 'target: {name: primary, taskTag: prod}', /no target has the tag "prod"/)
  assertRefused(t, 'target: {name: primary, taskTag: quiet}', /nightly, weekly have the tag "quiet"/)
  const children = 'children: {lines: {table: shop.lines, on: {order_id: id}}}'
  assertRefused(t, `${children}\ntarget: {name: primary, taskTag: backfill}`, /cannot be told from a task/)
})

test('a canary has times where the file gives none, and a target that can be searched', (t) => {
  const policy = 'policy: {canary: {row: "0", column: beat, everySeconds: 2}}'
  assert.deepEqual(load(t, `target: {name: primary}\n${policy}`).pipelines[0]?.policy.canary, {
    row: '0',
    column: 'beat',
    everySeconds: 2,
    withinSeconds: 30,
  })
  assertRefused(t, `target: {name: writer}\n${policy}`, /kind http cannot be searched/)
})
