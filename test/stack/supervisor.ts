import { fork } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { once } from 'node:events'
import type { Progress, Report } from './progress.ts'
import type { Profile } from './server.ts'
import { startStack } from './stack.ts'
import { describeStack, removeState, stateFiles, writeState, type StackState } from './state.ts'

/*
 * Servers end with the process that started them. For `up` that process is a supervisor in the background: it starts the
 * stack, says so to `up` through the channel that `fork` makes, and then holds the servers until `down` sends SIGTERM.
 */
export interface UpOptions {
  readonly stackName: string
  readonly servers: readonly string[]
  readonly profile: Profile
  readonly docker: boolean
}

type Message =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'ready'; readonly state: StackState }
  | { readonly kind: 'failed'; readonly message: string }

/** Starts a supervisor in the background and resolves when its servers serve. */
export async function startSupervisor(main: string, options: UpOptions, report: Report): Promise<StackState> {
  const { output } = stateFiles(options.stackName)
  mkdirSync(dirname(output), { recursive: true })
  const log = openSync(output, 'w')
  const supervisor = fork(main, ['supervise', JSON.stringify(options)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  try {
    return await new Promise<StackState>((resolve, reject) => {
      supervisor.on('message', (message) => {
        const said = message as Message
        if (said.kind === 'progress') report(said.progress)
        else if (said.kind === 'ready') resolve(said.state)
        else reject(new Error(said.message))
      })
      supervisor.once('exit', () => reject(new Error(`the supervisor ended; see ${output}`)))
    })
  } finally {
    // An open channel would hold both processes.
    if (supervisor.connected) supervisor.disconnect()
    supervisor.unref()
  }
}

/** The supervisor's own life: start, hold, stop at SIGTERM; stop as well when `up` goes away before all is ready. */
export async function supervise(options: UpOptions): Promise<void> {
  const startedAt = new Date()
  const end = new AbortController()
  let ready = false
  // Before all is ready there is nothing to stop in order: what was started ends with this process.
  const stop = () => (ready ? end.abort() : process.exit(1))
  process.once('SIGTERM', stop)
  process.once('disconnect', () => ready || process.exit(1))
  try {
    await using stack = await startStack({
      ...options,
      onProgress: (progress) => tell({ kind: 'progress', progress }),
    })
    const state = describeStack(stack, startedAt)
    await writeState(options.stackName, state)
    ready = true
    tell({ kind: 'ready', state })
    await untilAborted(end.signal)
  } catch (failure) {
    tell({ kind: 'failed', message: failure instanceof Error ? failure.message : String(failure) })
    throw failure
  } finally {
    await removeState(options.stackName)
  }
}

/** Says something to `up`, as long as that one listens. */
function tell(message: Message): void {
  if (process.connected) process.send?.(message)
}

/** Holds the process until the signal aborts: a promise alone would not keep it alive. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  const keepAlive = setInterval(() => {}, 60_000)
  await once(signal, 'abort')
  clearInterval(keepAlive)
}
