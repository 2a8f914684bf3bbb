import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { moduleDigest } from '../../../src/config/module-digest.ts'

test('what a file imports by a relative path changes its digest, however far away, and types do not', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-digest-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const write = (name: string, content: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  const digest = (): string => moduleDigest(join(folder, 'main.ts'))
  write(
    'main.ts',
    `import type { Row } from './types.ts'
     import { named,
       others } from './lib/named.ts'
     import './effect.ts'
     export * from "./all.ts"
     // as from './nowhere.ts'
     export const transform = async (row: Row) => (await import('./late.ts')).late(named(row), others)`,
  )
  const imported = ['lib/named.ts', 'lib/deep.ts', 'effect.ts', 'all.ts', 'late.ts']
  for (const name of [...imported, 'types.ts']) write(name, '// first')
  write('lib/named.ts', "export { deep as named } from './deep.ts'; import '../main.ts'")
  const known = new Set([digest()])
  for (const name of imported) {
    write(name, name === 'lib/named.ts' ? "export * from './deep.ts' // second" : '// second')
    assert(!known.has(digest()), name)
    known.add(digest())
  }
  const before = digest()
  write('types.ts', '// second')
  assert.equal(digest(), before)
})
