/** The command line: words in, exit code out. */
import { explain, Failure, type FailureKind } from '../change/failure.ts'
import { nearest } from '../config/problems.ts'
import { check } from './commands/check.ts'
import { deadLetters } from './commands/dead-letters.ts'
import { doctor } from './commands/doctor.ts'
import { generate } from './commands/generate.ts'
import { init } from './commands/init.ts'
import { log } from './commands/log.ts'
import { pipelines } from './commands/pipelines.ts'
import { refresh } from './commands/refresh.ts'
import { plan } from './commands/plan.ts'
import { preview } from './commands/preview.ts'
import { replay } from './commands/replay.ts'
import { run } from './commands/run.ts'
import { status } from './commands/status.ts'
import { test } from './commands/test.ts'
import { touch } from './commands/touch.ts'
import { types } from './commands/types.ts'
import { verify } from './commands/verify.ts'
import { exit, UsageError, type Context } from './context.ts'
import { aligned, helpOf, parseArguments, type Command } from './usage.ts'

export const commands: readonly Command[] = [
  init,
  check,
  doctor,
  run,
  status,
  pipelines,
  refresh,
  verify,
  plan,
  preview,
  touch,
  deadLetters,
  replay,
  log,
  types,
  test,
  generate,
]

/** Runs one command to its end. Bugs are thrown; everything else is told and answered with an exit code. */
export async function main(words: readonly string[], context: Context): Promise<number> {
  try {
    return await dispatch(words, context)
  } catch (error) {
    if (error instanceof UsageError) {
      context.err(`millrace: ${error.message}`)
      const name = commands.some((command) => command.name === words[0]) ? `${words[0]} ` : ''
      context.err(`  see: millrace ${name}--help`)
      return exit.usage
    }
    if (!(error instanceof Failure)) throw error
    context.err(`millrace: ${explain(error)}`)
    return exitOf(error.kind)
  }
}

async function dispatch(words: readonly string[], context: Context): Promise<number> {
  const [name, ...rest] = words
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    return help(rest[0], name === undefined, context)
  }
  if (name === '--version' || name === '-v') {
    context.out(`millrace ${context.version}`)
    return exit.ok
  }
  const command = commandNamed(name)
  const args = parseArguments(
    command,
    rest.map((word) => (word === '-h' ? '--help' : word)),
  )
  if (!args.has('help')) return await command.run(args, context)
  context.out(helpOf(command))
  return exit.ok
}

function commandNamed(name: string): Command {
  const command = commands.find((each) => each.name === name)
  if (command !== undefined) return command
  const suggestion = nearest(
    name,
    commands.map((each) => each.name),
  )
  const hint = suggestion === undefined ? '' : `; did you mean "${suggestion}"?`
  throw new UsageError(`there is no command "${name}"${hint}`)
}

function help(topic: string | undefined, unasked: boolean, context: Context): number {
  if (topic !== undefined) {
    context.out(helpOf(commandNamed(topic)))
    return exit.ok
  }
  const say = unasked ? context.err : context.out
  say(`millrace keeps Elasticsearch indexes in step with MySQL tables: it reads the changes that the server publishes,
keeps them in a durable log of its own, and makes documents of them.

Usage: millrace COMMAND [options]

Commands:
${aligned(commands.map((command) => [command.name, command.summary]))}

The first time:
  millrace init --source mysql://user:password@host:3306/ --table shop.orders
  millrace doctor
  millrace run

Each command explains itself: millrace COMMAND --help. millrace --version prints the version.`)
  return unasked ? exit.usage : exit.ok
}

function exitOf(kind: FailureKind): number {
  if (kind === 'configuration') return exit.usage
  return kind === 'transient' || kind === 'overload' ? exit.unreachable : exit.bad
}
