/** `npm run simulate -- --seed N [--seeds COUNT] [--steps N] [--verbose]`: runs seeds one after the other. */
import { parseArgs } from 'node:util'
import { seeds as remembered } from './seeds.ts'
import { simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    steps: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})

const steps = Number(values.steps ?? 40)
const first = Number(values.seed ?? 1)
const count = Number(values.seeds ?? (values.seed === undefined ? 200 : 1))
const chosen = Array.from({ length: count }, (_, at) => ({ seed: first + at, steps }))
const all = values.seed === undefined ? [...remembered, ...chosen] : chosen
const startedAtMs = performance.now()
let failed = 0
for (const { seed, steps: length } of all) if (!(await passes(seed, length))) failed++
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
console.log(`simulation: ${all.length - failed} seeds passed, ${failed} failed (${seconds} s)`)
process.exitCode = failed === 0 ? 0 : 1

async function passes(seed: number, length: number): Promise<boolean> {
  const tell = values.verbose ? (line: string) => console.log(line) : () => undefined
  try {
    await simulate({ seed, steps: length, tell })
    return true
  } catch (error) {
    console.log(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`)
    console.log(`  to repeat: npm run simulate -- --seed ${seed} --steps ${length} --verbose`)
    return false
  }
}
