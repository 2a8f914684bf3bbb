/** The process: arguments in, exit code out; the only exits and signal handlers. */
import { exit, type Context } from './cli/context.ts'
import { version } from './version.ts'

const endedBySignal = 130

const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => {
    if (stop.signal.aborted) process.exit(endedBySignal)
    stop.abort(name)
  })
}
// Whoever read our output has gone: there is no one left to write for.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exit.ok)
  throw error
})

const { main } = await import('./cli/cli.ts')

process.exit(await main(process.argv.slice(2), contextOf(stop.signal)))

function contextOf(signal: AbortSignal): Context {
  let redact = asItIs
  let openLine = false
  const print = (stream: NodeJS.WriteStream, line: string): void => {
    if (openLine) process.stderr.write('\r\u001B[2K')
    openLine = false
    stream.write(`${redact(line)}\n`)
  }
  return {
    version,
    environment: process.env,
    workingDirectory: process.cwd(),
    input: () => process.stdin,
    out: (line) => print(process.stdout, line),
    err: (line) => print(process.stderr, line),
    progress(line) {
      if (!process.stderr.isTTY) return
      process.stderr.write(`\r\u001B[2K${redact(line)}`)
      openLine = true
    },
    redactWith(next) {
      redact = next
    },
    compose: async () => (await import('./compose.ts')).compose,
    signal,
  }
}

function asItIs(text: string): string {
  return text
}
