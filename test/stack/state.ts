import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from './cache.ts'
import { run } from './command.ts'
import type { Stack } from './stack.ts'

/** What `up` leaves behind for `status`, `logs` and `down`. */
export interface StackState {
  readonly supervisorPid: number
  readonly startedAt: string
  readonly servers: readonly ServerState[]
}

export interface ServerState {
  readonly name: string
  readonly version: string
  readonly host: string
  readonly port: number
  readonly pid: number
  readonly urls: Readonly<Record<string, string>>
  readonly dataDirectory: string
  readonly logFile: string
}

export function describeStack(stack: Stack, startedAt: Date): StackState {
  return {
    supervisorPid: process.pid,
    startedAt: startedAt.toISOString(),
    servers: [...stack.servers].map(([name, server]) => ({
      name,
      version: server.version,
      host: server.host,
      port: server.port,
      pid: server.pid,
      urls: server.urls,
      dataDirectory: server.dataDirectory,
      logFile: server.logFile,
    })),
  }
}

/** Files about the stack of a name: its state and what its supervisor printed. */
export function stateFiles(stackName: string): { readonly state: string; readonly output: string } {
  if (!/^[\w-]{1,40}$/.test(stackName)) {
    throw new Error(`"${stackName}" cannot name a stack: letters, digits, - and _ may be used, 40 at most`)
  }
  const base = join(cacheDirectory(), 'stacks', stackName)
  return { state: `${base}.json`, output: `${base}.log` }
}

export async function writeState(stackName: string, state: StackState): Promise<void> {
  const { state: path } = stateFiles(stackName)
  await mkdir(join(cacheDirectory(), 'stacks'), { recursive: true })
  await writeFile(`${path}.new`, `${JSON.stringify(state, undefined, 2)}\n`)
  await rename(`${path}.new`, path)
}

/** The stack that runs under a name; undefined where none does, whatever an earlier one left behind. */
export async function readState(stackName: string): Promise<StackState | undefined> {
  const { state: path } = stateFiles(stackName)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const state = JSON.parse(text) as StackState
  if (await isSupervisor(state.supervisorPid)) return state
  await rm(path, { force: true })
  return undefined
}

export async function removeState(stackName: string): Promise<void> {
  await rm(stateFiles(stackName).state, { force: true })
}

/** A process id may have gone to another program meanwhile; only one that runs this tool is ours to stop. */
async function isSupervisor(pid: number): Promise<boolean> {
  const command =
    (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)) ??
    (await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ''))
  return command.includes('stack/main.ts')
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code === 'EPERM'
  }
}
