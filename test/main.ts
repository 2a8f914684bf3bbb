/**
 * Everything that a release needs, tier by tier, the quick ones first: `npm test`, or `npm test -- unit style` for some.
 * The last line is the sum. A tier that finds nothing to run is an error, not a success.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { dot, spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { startStack } from './stack/stack.ts'
import { shareElasticsearch } from './support/suite-stack.ts'

interface Counts {
  readonly passed: number
  readonly failed: number
}

interface Tier {
  readonly name: string
  readonly run: () => Promise<Counts>
}

const root = fileURLToPath(new URL('..', import.meta.url))

const tiers: readonly Tier[] = [
  {
    name: 'check',
    run: () =>
      each([
        ['tsc'],
        ['oxlint', '--type-aware', 'src', 'test'],
        ['oxfmt', '--check', 'src', 'test'],
        ['knip'],
      ]),
  },
  { name: 'style', run: () => testsIn('style', availableParallelism()) },
  { name: 'unit', run: () => testsIn('unit', availableParallelism()) },
  { name: 'contract', run: () => testsIn('contract', availableParallelism()) },
  { name: 'simulation', run: () => each([['node', 'test/simulation/main.ts']]) },
  // Real servers: one at a time, or they starve each other.
  { name: 'integration', run: () => sharingElasticsearch(() => testsIn('integration', 1)) },
  { name: 'crash', run: () => testsIn('crash', 1) },
]

/** A file that takes longer hangs: the others still run, and it is named. */
const fileMsMax = 600_000

const asked = process.argv.slice(2)
const unknown = asked.find((name) => tiers.every((tier) => tier.name !== name))
if (unknown !== undefined) {
  console.error(`there is no tier "${unknown}"; there are: ${tiers.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

const sum = { passed: 0, failed: 0 }
const times: string[] = []
for (const tier of tiers.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
  console.log(`\n── ${tier.name}`)
  const startedAt = performance.now()
  const { passed, failed } = await tier.run()
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  times.push(`${tier.name.padEnd(12)} ${passed} passed, ${failed} failed in ${seconds} s`)
  console.log(times.at(-1))
  sum.passed += passed
  sum.failed += failed
}
console.log(`\n${times.join('\n')}\n`)
console.log(`${sum.passed} passed, ${sum.failed} failed`)
process.exit(sum.failed === 0 ? 0 : 1)

/** All test files of a tier, each in a process of its own. */
async function testsIn(tier: string, concurrency: number): Promise<Counts> {
  const files = globSync(`test/${tier}/**/*.test.ts`, { cwd: root }).toSorted()
  if (files.length === 0) throw new Error(`there is no test in test/${tier}`)
  const stream = run({
    files: files.map((file) => join(root, file)),
    concurrency,
    cwd: root,
    timeout: fileMsMax,
  })
  const counts = Promise.withResolvers<Counts>()
  stream.on('test:summary', ({ file, counts: { tests, passed, skipped, todo } }) => {
    // The summary of all files names none.
    if (file === undefined) counts.resolve({ passed, failed: tests - passed - skipped - todo })
  })
  const isQuick = concurrency > 1
  const report = isQuick ? stream.compose<NodeJS.ReadableStream>(dot) : stream.compose(new spec())
  report.pipe(process.stdout, { end: false })
  const all = await counts.promise
  await ended(report)
  return all
}

/** Suites that leave it running share one Elasticsearch. */
async function sharingElasticsearch(tests: () => Promise<Counts>): Promise<Counts> {
  await using stack = await startStack({ servers: ['elasticsearch'] })
  shareElasticsearch(stack.elasticsearch)
  return await tests()
}

function ended(stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve) => {
    if ('readableEnded' in stream && stream.readableEnded === true) resolve()
    else stream.on('end', () => resolve())
  })
}

/** Programs one after the other. One whose last line is a sum of its own counts as much, any other as one. */
async function each(commands: readonly (readonly string[])[]): Promise<Counts> {
  const counts = { passed: 0, failed: 0 }
  for (const command of commands) {
    const { passed, failed } = await outcomeOf(command)
    counts.passed += passed
    counts.failed += failed
  }
  return counts
}

function outcomeOf([program = '', ...words]: readonly string[]): Promise<Counts> {
  console.log(`$ ${[program, ...words].join(' ')}`)
  const path = program === 'node' ? process.execPath : join(root, 'node_modules', '.bin', program)
  // Programs of node_modules are started by this Node, whatever the machine calls node.
  const [file, args] = program === 'node' ? [path, words] : [process.execPath, [path, ...words]]
  const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  let last = ''
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    last = (last + chunk.toString()).slice(-200)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      const [, passed, failed] = /(\d+) (?:seeds )?passed, (\d+) failed[^\n]*\s*$/.exec(last) ?? []
      const own = { passed: Number(passed ?? (code === 0 ? 1 : 0)), failed: Number(failed ?? 0) }
      // An exit code that says otherwise is believed.
      resolve(code === 0 || own.failed > 0 ? own : { ...own, failed: 1 })
    })
  })
}
