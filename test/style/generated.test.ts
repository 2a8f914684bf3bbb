/** What follows from the program and is committed all the same is up to date. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generatedFiles } from '../../src/config/example.ts'
import { leaves } from '../../src/config/settings.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { root } from './tracked-files.ts'

for (const [name, content] of Object.entries(generatedFiles())) {
  test(`config/${name} is what npm run generate writes`, () => {
    assert.equal(readFileSync(join(root, 'config', name), 'utf8'), content)
  })
}

test('every setting has a doc line, a format and bounds', () => {
  for (const { path, node } of leaves()) {
    const name = path.join('.')
    assert.ok((node.description ?? '').length > 10, `${name} has no doc line`)
    if (node.type === 'number' || node.type === 'integer') {
      assert.ok(node.minimum !== undefined && node.maximum !== undefined, `${name} has no bounds`)
    }
    assert.ok(node.type !== undefined || node.enum !== undefined, `${name} has no format`)
  }
})

test('every metric in the alert rules is one that the daemon has', () => {
  const rules = readFileSync(join(root, 'deploy/observability/alerts.yaml'), 'utf8')
  const names = new Set([...rules.matchAll(/\bmillrace_[a-z_]+/g)].map(([name]) => name))
  const known = new Set(createMetrics('0').names())
  assert.ok(names.size >= 6)
  assert.deepEqual(
    [...names].filter((name) => !known.has(name)),
    [],
  )
})

test('the image starts the program with the flags of bin/millrace', () => {
  const flags = (readFileSync(join(root, 'bin/millrace'), 'utf8').split('\n')[0] ?? '')
    .split(' ')
    .filter((word) => word.startsWith('--'))
  assert(flags.length > 0)
  const entrypoint = /ENTRYPOINT (\[.*\])/.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))?.[1] ?? '[]'
  assert.deepEqual(JSON.parse(entrypoint), ['node', ...flags, '/app/bin/millrace'])
})
