import { spawn, type ChildProcess } from 'node:child_process'
import { openSync, closeSync } from 'node:fs'
import type { Writable } from 'node:stream'

/*
 * A process that cannot outlive its owner, not even when the owner is killed by SIGKILL:
 *
 *   owner ──pipe (fd 3)──▶ watcher ──kills at end of file──▶ server
 *
 * The shell starts the watcher in the background and then becomes the server by `exec`, so that the process id, the exit
 * code and the signals are the server's own. The kernel closes the pipe when the owner ends. When the server ends first,
 * the owner writes one word, and the watcher goes away without killing anything.
 */
const guard = `
pid=$$
( exec 0</dev/null; read -r word <&3 || { eval "$GUARD_KILL"; kill -KILL "$pid" 2>/dev/null; } ) &
exec 3<&-
unset GUARD_KILL
exec "$@"`

export interface Launch {
  readonly command: readonly string[]
  readonly workingDirectory: string
  readonly logFile: string
  /** Replaces this process's environment, except for what is needed to find programs. */
  readonly environment?: Readonly<Record<string, string>>
  /** Bytes for standard input, which then stays open as long as the owner lives. */
  readonly input?: Uint8Array
  /** The unprivileged user and group to run as; only root can ask for it. */
  readonly userId?: number
  /** A shell command that ends what the server itself left elsewhere (a container) when the owner dies. */
  readonly killCommand?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class GuardedProcess {
  readonly pid: number
  readonly exited: Promise<Exit>
  #exit: Exit | undefined

  constructor(launch: Launch) {
    const child = start(launch)
    const guardPipe = child.stdio[3] as Writable
    // Writing to a pipe whose reader is gone already is not an error for us.
    guardPipe.on('error', () => {})
    child.stdin?.on('error', () => {})
    if (launch.input !== undefined) child.stdin?.write(launch.input)
    this.exited = new Promise((resolve) => {
      child.once('error', () => resolve({ code: null, signal: null }))
      child.once('exit', (code, signal) => resolve({ code, signal }))
    }).then((exit) => {
      this.#exit = exit as Exit
      guardPipe.end('ended\n')
      child.stdin?.destroy()
      return this.#exit
    })
    if (child.pid === undefined) throw new Error(`cannot start ${launch.command[0]}: /bin/sh was not found`)
    this.pid = child.pid
  }

  /** How it ended, or undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit
  }

  /** Sends a signal, unless the process has ended already. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit !== undefined) return
    try {
      process.kill(this.pid, signal)
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== 'ESRCH') throw failure
    }
  }
}

function start(launch: Launch): ChildProcess {
  const log = openSync(launch.logFile, 'a')
  try {
    return spawn('/bin/sh', ['-c', guard, 'guard', ...launch.command], {
      cwd: launch.workingDirectory,
      env: { PATH: process.env['PATH'], ...launch.environment, GUARD_KILL: launch.killCommand ?? ':' },
      stdio: [launch.input === undefined ? 'ignore' : 'pipe', log, log, 'pipe'],
      // Its own session: a Ctrl-C in the terminal reaches the owner, which then stops its servers in order.
      detached: true,
      ...(launch.userId === undefined ? {} : { uid: launch.userId, gid: launch.userId }),
    })
  } finally {
    closeSync(log)
  }
}
