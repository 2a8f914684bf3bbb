import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)

const launcher = fileURLToPath(new URL('bin/millrace', root))
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string }

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function millrace(...words: string[]): Ended {
  return run(process.execPath, words)
}

function run(node: string, words: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(node, [launcher, ...words], { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

/** A Node of this machine that cannot run the sources itself. */
function olderNode(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders
    .map((folder) => join(folder, 'node'))
    .filter((node) => existsSync(node))
    .find((node) => {
      const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
      return Number(/^v(\d+)/.exec(stdout)?.[1] ?? Infinity) < 24
    })
}

test('the launcher starts the program, which prints the version of the package', () => {
  assert.deepEqual(millrace('--version'), { code: 0, out: `millrace ${version}\n`, err: '' })
})

const older = olderNode()

test('an older Node hands on to the one among the dependencies', { skip: older === undefined }, () => {
  assert.deepEqual(run(older ?? '', ['--version']), { code: 0, out: `millrace ${version}\n`, err: '' })
})

test('a wrong command line ends with 2 and says nothing on the standard output', () => {
  const { code, out, err } = millrace('rnu')
  assert.deepEqual([code, out], [2, ''])
  assert.match(err, /did you mean "run"\?/)
})
