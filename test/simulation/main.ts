/** `npm run simulate -- --seed N [--story NAME] [--seeds COUNT] [--steps N] [--verbose]`: runs seeds one after the other. */
import { parseArgs } from 'node:util'
import { killAtEachStep, simulateJoined } from './joined/simulate.ts'
import { seeds as remembered } from './seeds.ts'
import { simulate, type Story } from './simulate.ts'

const { values } = parseArgs({
  options: {
    story: { type: 'string' },
    seed: { type: 'string' },
    seeds: { type: 'string' },
    steps: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})

interface Chosen {
  readonly seed: number
  readonly steps?: number
}

interface Stories {
  readonly run: (story: Story) => Promise<unknown>
  /** In one act, unless the command line says otherwise. */
  readonly steps: number
  /** What is run where no seed is named. */
  readonly seeds: readonly Chosen[]
}

const all: Readonly<Record<string, Stories>> = {
  'one-table': { run: simulate, steps: 40, seeds: [...remembered, ...seedsFrom(1, seedCount(200))] },
  joined: { run: simulateJoined, steps: 20, seeds: seedsFrom(1, seedCount(40)) },
  // Such a story is told as often as there are steps.
  'joined-killed': { run: ({ seed }) => killAtEachStep(seed), steps: 1, seeds: seedsFrom(8, 1) },
}

const { story = values.seed === undefined ? undefined : 'one-table' } = values
if (story !== undefined && all[story] === undefined)
  throw new Error(`there is no story ${story}: ${Object.keys(all).join(', ')}`)
const startedAtMs = performance.now()
let [passed, failed] = [0, 0]
for (const [name, { run, steps, seeds }] of Object.entries(all)) {
  if (story !== undefined && story !== name) continue
  const chosen = values.seed === undefined ? seeds : seedsFrom(Number(values.seed), seedCount(1))
  for (const each of chosen) {
    const told = { seed: each.seed, steps: Number(values.steps ?? each.steps ?? steps) }
    if (await passes(name, run, told)) passed++
    else failed++
  }
}
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
console.log(`simulation: ${passed} seeds passed, ${failed} failed (${seconds} s)`)
process.exitCode = failed === 0 ? 0 : 1

function seedCount(usual: number): number {
  return Number(values.seeds ?? usual)
}

function seedsFrom(first: number, count: number): readonly Chosen[] {
  return Array.from({ length: count }, (_, at) => ({ seed: first + at }))
}

async function passes(
  name: string,
  run: Stories['run'],
  { seed, steps }: Pick<Story, 'seed' | 'steps'>,
): Promise<boolean> {
  const tell = values.verbose ? (line: string) => console.log(line) : () => undefined
  try {
    await run({ seed, steps, tell })
    return true
  } catch (error) {
    console.log(`${name}, seed ${seed}: ${error instanceof Error ? error.message : String(error)}`)
    console.log(`  to repeat: npm run simulate -- --story ${name} --seed ${seed} --steps ${steps} --verbose`)
    return false
  }
}
