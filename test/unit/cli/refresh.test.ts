import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RefreshRequest } from '../../../src/control/operations.ts'
import { startControl } from '../../../src/control/server.ts'
import { commandLine } from '../../support/command-line.ts'
import { operationsWith } from '../../support/operations.ts'

test('a refresh is asked for by pipeline or by upstream, and says for whom it was begun', async (t) => {
  const asked: RefreshRequest[] = []
  const operations = operationsWith({
    refresh: (request) => {
      asked.push(request)
      const groups = request.pipeline === 'busy' ? [] : ['orders@primary']
      return Promise.resolve({ groups, busy: ['visits@primary'] })
    },
  })
  const server = await startControl({ host: '127.0.0.1', port: 0, operations, redact: String })
  t.after(() => server.close())
  const url = `http://${server.host}:${server.port}`
  const run = (...words: string[]) => commandLine(t).run('refresh', '--url', url, ...words)
  const begun = await run('--upstream', 'weather', '--rate', '500')
  assert.equal(begun.code, 0)
  assert.match(begun.out.join('\n'), /^orders@primary: every document .*\nvisits@primary: .* already/)
  assert.equal((await run('busy', '--json')).code, 1)
  assert.deepEqual(asked, [{ upstream: 'weather', rowsPerSecond: 500 }, { pipeline: 'busy' }])
  assert.equal((await run()).code, 2)
  assert.equal((await run('orders', '--upstream', 'weather')).code, 2)
  assert.equal((await run('orders', '--rate', '0')).code, 2)
  const refused = await fetch(`${url}/v1/refresh`, { method: 'POST', body: '{}' })
  assert.equal(refused.ok, false)
})
