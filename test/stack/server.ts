import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { GuardedProcess, type Launch } from './guarded-process.ts'
import type { Report } from './progress.ts'

/** What a kind of server must say so that it can be started, stopped and started again on the same port and data. */
export interface Blueprint {
  /** The name with its version, such as `mysql@9.7`. */
  readonly name: string
  readonly version: string
  readonly port: number
  /** Where this server keeps everything of this run: data, logs, configuration. */
  readonly directory: string
  readonly dataDirectory: string
  readonly logFile: string
  readonly launch: Launch
  /** Whether it serves now; may throw while it does not. */
  readonly ready: () => Promise<boolean>
  readonly report: Report
  /** Ends it by force where its process is only a proxy (a container); otherwise SIGKILL is sent. */
  readonly destroy?: () => Promise<void>
  /** Frees what `directory` does not hold, at the very end. */
  readonly dispose?: () => Promise<void>
}

/** How a profile trades speed of start and memory for throughput. */
export type Profile = 'test' | 'bench'

/** The port was taken by someone else between its choice and its use. */
export class PortTaken extends Error {}

/** One real server, owned by this process: it ends at the latest when this process ends. */
export class Server implements AsyncDisposable {
  readonly name: string
  readonly version: string
  readonly host = '127.0.0.1'
  readonly port: number
  readonly dataDirectory: string
  readonly logFile: string
  /** Where clients reach it, by the name of each address; kinds of servers fill it. */
  readonly urls: Readonly<Record<string, string>> = {}
  readonly #blueprint: Blueprint
  #process: GuardedProcess | undefined

  constructor(blueprint: Blueprint) {
    this.#blueprint = blueprint
    this.name = blueprint.name
    this.version = blueprint.version
    this.port = blueprint.port
    this.dataDirectory = blueprint.dataDirectory
    this.logFile = blueprint.logFile
  }

  /** The process id of the running server. Throws when it is stopped. */
  get pid(): number {
    assert(this.#process !== undefined && this.running, `${this.name} is not running`)
    return this.#process.pid
  }

  get running(): boolean {
    return this.#process !== undefined && this.#process.exit === undefined
  }

  /** Starts it on its port and data and resolves when it serves. Throws with the end of its log when it cannot. */
  async start(): Promise<void> {
    assert(!this.running, `${this.name} is already running`)
    const { report, name, ready } = this.#blueprint
    const logStart = this.#logSize()
    const begun = performance.now()
    report({ server: name, doing: `starting on port ${this.port}` })
    const process = new GuardedProcess(this.#blueprint.launch)
    this.#process = process
    while (!(await ready().catch(() => false))) {
      if (process.exit !== undefined) throw this.#startFailure(process, logStart)
      if (performance.now() - begun > readyTimeoutMs) {
        await this.kill()
        throw new Error(`${name} did not become ready in ${readyTimeoutMs / 1000} s:\n${this.logTail()}`)
      }
      await delay(40)
    }
    const seconds = ((performance.now() - begun) / 1000).toFixed(1)
    report({ server: name, doing: `ready on port ${this.port} after ${seconds} s, process ${process.pid}` })
  }

  /**
   * Stops it in order (SIGTERM) and resolves when its process has ended; by force after a minute. Idempotent. MySQL
   * takes some 8 s where a client reads its binlog, since it ends those connections last.
   */
  async stop(): Promise<void> {
    const process = this.#process
    if (process === undefined) return
    process.signal('SIGTERM')
    // A frozen process would not notice the first signal.
    process.signal('SIGCONT')
    const patience = new AbortController()
    const timeout = delay(stopTimeoutMs, undefined, { signal: patience.signal }).then(
      () => this.kill(),
      () => {},
    )
    await Promise.race([process.exited, timeout])
    patience.abort()
  }

  /** Ends it as a power failure would (SIGKILL) and resolves when its process has ended. Idempotent. */
  async kill(): Promise<void> {
    if (this.#process === undefined) return
    await this.#blueprint.destroy?.()
    this.#process.signal('SIGKILL')
    await this.#process.exited
  }

  /** Freezes its process (SIGSTOP): connections stay open and nobody answers, as on a machine that hangs. */
  pause(): void {
    this.#process?.signal('SIGSTOP')
  }

  /** Lets a frozen process go on. */
  resume(): void {
    this.#process?.signal('SIGCONT')
  }

  /** The last lines of what the server logged. */
  logTail(lines = 30): string {
    return existsSync(this.logFile) ? lastLines(readFileSync(this.logFile, 'utf8'), lines) : ''
  }

  /**
   * Ends it for good, at once: its data is thrown away, so that it need not put it in order. What it kept on disk goes
   * with the run's directory, and what a container kept goes here.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.#blueprint.dispose?.()
  }

  #startFailure(process: GuardedProcess, logStart: number): Error {
    const log = existsSync(this.logFile) ? readFileSync(this.logFile).subarray(logStart).toString() : ''
    const { code, signal } = process.exit ?? { code: null, signal: null }
    const message = `${this.name} ended at its start (${signal ?? `exit code ${code}`}):\n${lastLines(log, 15)}`
    return portTaken.test(log) ? new PortTaken(message) : new Error(message)
  }

  #logSize(): number {
    return existsSync(this.logFile) ? readFileSync(this.logFile).length : 0
  }
}

/**
 * Starts a server on a free port. When someone else takes the port in the moment between its choice and its use, another
 * one is tried; a restart later keeps the port. `finish` is called once, when the server serves for the first time.
 */
export async function startOnFreePort<Kind extends Server>(
  prepare: () => Promise<Kind>,
  finish: (server: Kind) => Promise<void> = async () => {},
): Promise<Kind> {
  for (let attempt = 1; ; attempt += 1) {
    const server = await prepare()
    try {
      await server.start()
      await finish(server)
      return server
    } catch (failure) {
      await server[Symbol.asyncDispose]()
      if (!(failure instanceof PortTaken) || attempt === portAttempts) throw failure
    }
  }
}

const portAttempts = 5
const readyTimeoutMs = 180_000
const stopTimeoutMs = 60_000
const portTaken =
  /address already in use|port is already allocated|failed to bind|do you already have another (mysqld|server)/i

export function lastLines(text: string, lines: number): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n')
}
