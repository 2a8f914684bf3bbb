import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PreviewedRow } from '../../../src/cli/parts.ts'
import { groupOf } from '../../../src/config/pipeline.ts'
import { commandLine } from '../../support/command-line.ts'

const servers = `
sources: { main: { url: "mysql://app:open-sesame@db/" } }
targets: { near: { url: "http://near:9200" }, far: { url: "http://far:9200" } }
`

test('each target is shown the requests that it would get; what would not be written is no success', async (t) => {
  const { write, run } = commandLine(t, {
    preview: (pipeline, { keys }) => Promise.resolve(keys.map((key) => rowOf(groupOf(pipeline), key))),
  })
  write('config/millrace.yaml', servers)
  write('config/pipelines/orders.yaml', 'table: shop.orders\ntargets: [{ name: near }, { name: far }]\n')
  const both = await run('preview', 'orders', '1', '2')
  assert.equal(both.code, 1)
  assert.deepEqual(both.out, [
    'key 1, orders@near',
    '  row       {"id":1}',
    '  request   POST /orders/_bulk',
    '            {"index":{"_id":"1"}}',
    '            {"id":1}',
    '  target    accepts it',
    'key 2, orders@near',
    '  row       {"id":2}',
    '  document  {"id":2}',
    '  remark    the upstream is down',
    'key 1, orders@far',
    '  row       {"id":1}',
    '  request   POST /orders/_bulk',
    '            {"index":{"_id":"1"}}',
    '            {"id":1}',
    '  target    accepts it',
    'key 2, orders@far',
    '  row       {"id":2}',
    '  document  {"id":2}',
    '  remark    the upstream is down',
  ])
  const one = await run('preview', 'orders@far', '1', '--json')
  assert.equal(one.code, 0)
  assert.deepEqual(
    one.out.map((line) => JSON.parse(line) as unknown),
    [rowOf('orders@far', '1')],
  )
})

test('another file is compared over the first thousand rows, unless another number is asked for', async (t) => {
  const asked: number[] = []
  const { write, run } = commandLine(t, {
    comparePipelines: (_files, rowsMax) => {
      asked.push(rowsMax)
      const differences = asked.length === 1 ? [] : [{ id: '7', fields: ['name'] }]
      return Promise.resolve({ equal: 3, differences, removed: [], added: [] })
    },
  })
  write('config/millrace.yaml', servers)
  write('config/pipelines/orders.yaml', 'table: shop.orders\ntarget: { name: near }\n')
  write('changed.yaml', 'table: shop.orders\nfields: { id: id }\ntarget: { name: near }\n')
  const same = await run('preview', 'orders', '--against', 'changed.yaml')
  assert.deepEqual([same.code, same.out], [0, ['3 documents are the same']], same.err.join('\n'))
  const differing = await run('preview', 'orders', '--against', 'changed.yaml', '--rows', '20')
  assert.deepEqual(differing.out, ['3 documents are the same', '1 differ in name, such as 7'])
  assert.equal(differing.code, 1)
  assert.deepEqual(asked, [1000, 20])
})

/** The row 2 lacks what an upstream did not give. */
function rowOf(group: string, id: string): PreviewedRow {
  const document = `{"id":${id}}`
  const placed = { op: 'index', id, document } as const
  const request = ['POST /orders/_bulk', `{"index":{"_id":"${id}"}}`, document]
  const operation =
    id === '2'
      ? { ...placed, request: [], remark: 'the upstream is down' }
      : { ...placed, request, target: 'accepts it' }
  return { group, key: id, row: document, operations: [operation] }
}
