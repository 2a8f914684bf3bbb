import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compose } from '../../../src/compose.ts'
import type { Configuration } from '../../../src/config/load.ts'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { commandLine, twoServers } from '../../support/command-line.ts'

/** The real parts that need no server. */
const offline = {
  transformOf: (pipeline: Pipeline) => compose(unconnected).transformOf(pipeline),
}
const unconnected = { settings: {}, pipelines: [] } as unknown as Configuration

test('examples of a transform are run without servers, and what differs is shown', async (t) => {
  const { write, run } = commandLine(t, offline)
  write('config/millrace.yaml', twoServers)
  write('config/pipelines/orders.yaml', 'table: shop.orders\ntransform: ./orders.ts\n')
  write(
    'config/pipelines/orders.ts',
    `export function transform({ state, cents }: { state: string; cents: bigint }) {
       if (state === 'odd') throw new Error('an odd order')
       return state === 'closed' ? null : { euros: Number(cents) / 100, cents }
     }`,
  )
  write(
    'config/pipelines/cases/orders.yaml',
    `- name: closed orders have no document
  given: { state: closed }
  expected: null
- given: { cents: 9007199254740993 }
  expected: { cents: 9007199254740993, euros: 90071992547409.92 }
- name: odd
  given: { state: odd }
  expected: {}
- given: { cents: 100 }
  expected: { cents: 101, euros: 1 }
`,
  )
  const { code, out } = await run('test')
  assert.equal(code, 1)
  assert.deepEqual(out, [
    'ok      orders: closed orders have no document',
    'ok      orders: case 2',
    'failed  orders: odd (line 6)',
    '        expected {}',
    '        found    an odd order',
    'failed  orders: case 4 (line 9)',
    '        expected {"cents":101,"euros":1}',
    '        found    {"euros":1,"cents":100}',
    '2 passed, 2 failed',
  ])
  const lines = (await run('test', 'orders', '--json')).out.map(
    (line) => JSON.parse(line) as { passed: boolean },
  )
  assert.deepEqual(
    lines.map(({ passed }) => passed),
    [true, true, false, false],
  )
})

test('examples that are not well written, or not there, are refused with their place', async (t) => {
  const { write, run } = commandLine(t, offline)
  write('config/millrace.yaml', twoServers)
  write('config/pipelines/orders.yaml', 'table: shop.orders\n')
  const none = await run('test', 'orders')
  assert.equal(none.code, 2)
  assert.match(
    none.err.join('\n'),
    /orders has no examples\n {2}remedy: write them into .*cases\/orders.yaml/,
  )
  write('config/pipelines/cases/orders.yaml', '- { given: {}, expect: {} }\n- { given: 1, expected: null }\n')
  const broken = await run('test', 'orders')
  assert.match(broken.err.join('\n'), /orders.yaml:1: 0: has the unknown key expect/)
  assert.match(broken.err.join('\n'), /orders.yaml:2: 1: has no mapping given/)
})

test('check names the line of a transform that cannot be loaded', async (t) => {
  const { write, run } = commandLine(t, offline)
  write('config/millrace.yaml', twoServers)
  write('config/pipelines/orders.yaml', 'table: shop.orders\ntransform: ./orders.ts\n')
  write('config/pipelines/orders.ts', 'export function transform() {\n  if (\n')
  const { code, err } = await run('check')
  assert.equal(code, 2)
  assert.match(err.join('\n'), /orders\.ts:2 cannot be loaded: Expression expected/)
})
