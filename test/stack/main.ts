import { setTimeout as delay } from 'node:timers/promises'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheDirectory } from './cache.ts'
import { kinds, knownNames, parseNames, type Kind } from './kinds.ts'
import { printProgress } from './progress.ts'
import { lastLines, type Profile } from './server.ts'
import { startStack } from './stack.ts'
import { describeStack, isAlive, readState, stateFiles, type StackState } from './state.ts'
import { startSupervisor, supervise, type UpOptions } from './supervisor.ts'

const help = `Real servers for the demo, the tests and the benchmarks, on 127.0.0.1, without Docker.

  npm run stack -- up NAME...      start servers in the background and return when they serve
  npm run stack -- down            stop them and remove their data
  npm run stack -- status          say where they are, as lines or with --json
  npm run stack -- logs NAME       print the end of a server's log, -n LINES (default 40)
  npm run stack -- fetch NAME...   only fetch the programs into the cache

Names: ${knownNames().join(', ')}

Options
  --profile test|bench   test starts fast and small (default); bench has more memory and the full compiler
  --stack NAME           a stack of its own beside the one called "default"
  --foreground           up: stay in the foreground; Ctrl-C stops the servers
  --docker               up: official images by "docker run" instead of processes; needs a Docker that answers
  --json                 status, up: as JSON
  -n, --lines LINES      logs: how many lines
  -h, --help             this text

"up" leaves a supervisor process behind, which holds the servers: they end with it, however it ends, and "down" stops it.
Programs and prepared data directories are kept in ${cacheDirectory()}.
Users of the databases: root without a password, app/apppass (everything), cdc/cdcpass (replication and SELECT).`

const options = {
  profile: { type: 'string', default: 'test' },
  stack: { type: 'string', default: 'default' },
  foreground: { type: 'boolean', default: false },
  docker: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  lines: { type: 'string', short: 'n', default: '40' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Carries out one command line. Throws with a sentence for the user when it cannot. */
async function main(commandLine: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...commandLine], options, allowPositionals: true })
  const [command, ...names] = positionals
  if (values.help || command === undefined) return print(help)
  const upOptions = {
    stackName: values.stack,
    servers: names,
    profile: profileOf(values.profile),
    docker: values.docker,
  }
  switch (command) {
    case 'up':
      return await up(upOptions, values)
    case 'down':
      return await down(values.stack)
    case 'status':
      return await status(values.stack, values.json)
    case 'logs':
      return await logs(values.stack, names, Number(values.lines))
    case 'fetch':
      return await fetchAll(names)
    case 'supervise':
      return await supervise(JSON.parse(names[0] ?? '') as UpOptions)
    default:
      throw new Error(`there is no command "${command}"; see --help`)
  }
}

async function up(
  upOptions: UpOptions,
  shown: { readonly foreground: boolean; readonly json: boolean },
): Promise<void> {
  needNames(upOptions.servers)
  const running = await readState(upOptions.stackName)
  if (running !== undefined) {
    const names = running.servers.map((server) => server.name).join(', ')
    throw new Error(
      `the stack "${upOptions.stackName}" is up already with ${names}; "down" first, or name another --stack`,
    )
  }
  if (shown.foreground) return await holdInForeground(upOptions)
  const state = await startSupervisor(fileURLToPath(import.meta.url), upOptions, printProgress())
  print(shown.json ? JSON.stringify(state, undefined, 2) : describe(state))
}

async function holdInForeground(upOptions: UpOptions): Promise<void> {
  const end = new AbortController()
  process.once('SIGINT', () => end.abort())
  process.once('SIGTERM', () => end.abort())
  const startedAt = new Date()
  await using stack = await startStack({ ...upOptions, onProgress: printProgress() })
  print(describe(describeStack(stack, startedAt)))
  print('Ctrl-C stops the servers')
  if (!end.signal.aborted) await once(end.signal, 'abort')
}

async function down(stackName: string): Promise<void> {
  const state = await readState(stackName)
  if (state === undefined) return print(`the stack "${stackName}" is not up`)
  const pids = [state.supervisorPid, ...state.servers.map((server) => server.pid)]
  process.kill(state.supervisorPid, 'SIGTERM')
  const deadline = Date.now() + 120_000
  while (pids.some(isAlive)) {
    if (Date.now() > deadline)
      throw new Error(`the supervisor ${state.supervisorPid} did not end within two minutes`)
    await delay(50)
  }
  print(`the stack "${stackName}" is down`)
}

async function status(stackName: string, asJson: boolean): Promise<void> {
  const state = await readState(stackName)
  if (asJson)
    return print(JSON.stringify(state === undefined ? { up: false } : { up: true, ...state }, undefined, 2))
  print(state === undefined ? `the stack "${stackName}" is not up` : describe(state))
  if (state === undefined) process.exitCode = 3
}

async function logs(stackName: string, names: readonly string[], lines: number): Promise<void> {
  if (!Number.isInteger(lines) || lines < 1) throw new Error('-n takes a number of lines, 1 or more')
  const [name] = names
  const state = await readState(stackName)
  const server = state?.servers.find((candidate) => candidate.name === name)
  if (name !== undefined && server !== undefined) {
    return print(lastLines(readFileSync(server.logFile, 'utf8'), lines))
  }
  const known = state?.servers.map((candidate) => candidate.name).join(', ') ?? 'nothing, since it is not up'
  throw new Error(
    `name one server of the stack "${stackName}", which has ${known}; its supervisor printed to ${stateFiles(stackName).output}`,
  )
}

async function fetchAll(names: readonly string[]): Promise<void> {
  needNames(names)
  const report = printProgress()
  for (const request of parseNames(names)) {
    const kind: Kind = kinds[request.kind]
    await kind.fetch(request.version, report)
    report({ server: request.name, doing: 'is in the cache' })
  }
}

function needNames(names: readonly string[]): void {
  if (names.length === 0) throw new Error(`name one or more servers: ${knownNames().join(', ')}`)
  parseNames(names)
}

function profileOf(text: string): Profile {
  if (text === 'test' || text === 'bench') return text
  throw new Error(`there is no profile "${text}"; there are test and bench`)
}

function describe(state: StackState): string {
  const lines = state.servers.flatMap((server) => [
    `${server.name} ${server.version}, process ${server.pid}${isAlive(server.pid) ? '' : ' (has ended)'}`,
    ...Object.entries(server.urls).map(([name, url]) => `  ${name.padEnd(7)} ${url}`),
    `  data    ${server.dataDirectory}`,
    `  log     ${server.logFile}`,
  ])
  return lines.join('\n')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  await main(process.argv.slice(2))
} catch (failure) {
  process.stderr.write(`${failure instanceof Error ? failure.message : String(failure)}\n`)
  process.exitCode = 1
}
