/** `npm run test:crash [-- --kills 60 --seed 1 --rows 20000]` */
import { parseArgs } from 'node:util'
import { crashRun } from './crash.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    rows: { type: 'string', default: '20000' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`npm run test:crash -- [--kills N] [--seed N] [--rows N]

Kills the daemon (SIGKILL) N times at facts and at random moments, its first load included, while an application writes;
then compares table and index, follows every key through the log, and holds every version seen against the one before.`)
} else {
  const result = await crashRun({
    kills: Number(values.kills),
    seed: Number(values.seed),
    rows: Number(values.rows),
    report: (line) => console.error(line),
  })
  for (const fault of result.faults.slice(0, 20)) console.error(fault)
  const { faults, ...figures } = result
  console.log(JSON.stringify({ ...figures, faults: faults.length }))
  process.exitCode = faults.length === 0 ? 0 : 1
}
