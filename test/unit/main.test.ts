import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)

function millrace(...words: string[]): { code: number | null; out: string; err: string } {
  const launcher = fileURLToPath(new URL('bin/millrace', root))
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...words], { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

test('the launcher starts the program, which prints the version of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string }
  assert.deepEqual(millrace('--version'), { code: 0, out: `millrace ${version}\n`, err: '' })
})

test('a wrong command line ends with 2 and says nothing on the standard output', () => {
  const { code, out, err } = millrace('rnu')
  assert.deepEqual([code, out], [2, ''])
  assert.match(err, /did you mean "run"\?/)
})
