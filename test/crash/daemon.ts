/**
 * The real daemon, composed with one more listener that kills its own process: `CRASH_AT=appended:17` at the 17th fact of
 * that kind. Facts are the failpoints, so the product carries none.
 */
import { main } from '../../src/cli/cli.ts'
import { compose } from '../../src/compose.ts'
import type { Observe } from '../../src/pipeline/facts.ts'
import { processContext } from '../support/process-context.ts'

const [kind = '', count = '1'] = (process.env['CRASH_AT'] ?? '').split(':')
let left = Number(count)

const killer: Observe = (fact) => {
  if (fact.kind !== kind || --left > 0) return
  process.kill(process.pid, 'SIGKILL')
}

process.exit(
  await main(
    process.argv.slice(2),
    processContext((configuration) => compose(configuration, [killer])),
  ),
)
