/** The context of a command in a test's own process, composed as the test says. */
import type { Context } from '../../src/cli/context.ts'
import type { Compose } from '../../src/cli/parts.ts'

export function processContext(compose: Compose): Context {
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort('SIGTERM'))
  let redact = asItIs
  return {
    version: 'test',
    environment: process.env,
    workingDirectory: process.cwd(),
    input: () => process.stdin,
    out: (line) => process.stdout.write(`${redact(line)}\n`),
    err: (line) => process.stderr.write(`${redact(line)}\n`),
    progress: () => {},
    redactWith(next) {
      redact = next
    },
    compose: () => Promise.resolve(compose),
    signal: stop.signal,
  }
}

function asItIs(text: string): string {
  return text
}
