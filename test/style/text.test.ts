/** What must not be in any file. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root, trackedFiles } from './tracked-files.ts'

const texts = trackedFiles()
  .filter((file) => !/\.(png|svg|ico)$/.test(file))
  .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n') }))

/** Words are put together here, so that this file does not break its own rules. */
const hosts = [
  ['registry', 'npmjs'],
  ['registry', 'yarnpkg'],
  ['pypi', 'org'],
  ['repo1', 'maven'],
  ['repo', 'maven'],
  ['deb', 'debian'],
  ['docker', 'io'],
  ['docker', 'elastic'],
].map((labels) => labels.join('\\.'))
const reminders = ['TO', 'FIX'].map((word, index) => word + (index === 0 ? 'DO' : 'ME'))

function breaches(pattern: RegExp, isExempt: (file: string) => boolean = () => false): readonly string[] {
  return texts.flatMap(({ file, lines }) =>
    isExempt(file)
      ? []
      : lines.flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  )
}

test('no file names the host of a registry', () => {
  assert.deepEqual(breaches(new RegExp(`\\b(${hosts.join('|')})\\b`)), [])
})

test('no file has a path of somebody’s machine', () => {
  const homes = ['home', 'Users', 'root', 'work'].map((folder) => `/${folder}/[\\w.-]+`)
  assert.deepEqual(breaches(new RegExp(`(^|[\\s'"\`=(])(${homes.join('|')})`)), [])
})

test('nothing is left to do', () => {
  assert.deepEqual(breaches(new RegExp(`\\b(${reminders.join('|')})\\b`)), [])
})

test('every test can be found: its name ends in .test.ts and its folder is a tier', () => {
  const tiers = ['style', 'types', 'unit', 'contract', 'simulation', 'integration', 'crash', 'soak']
  const lost = trackedFiles().filter(
    (file) => file.endsWith('.test.ts') && !tiers.includes(file.split('/')[1] ?? ''),
  )
  assert.deepEqual(lost, [])
})
