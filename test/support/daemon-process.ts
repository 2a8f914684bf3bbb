/** The real daemon as a process of its own, which a test starts, watches from outside, stops and kills. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { askToSteer } from '../../src/cli/client.ts'
import type { PipelineStatus, Status, SteerAction } from '../../src/control/operations.ts'
import { GuardedProcess, type Exit } from '../stack/guarded-process.ts'
import { usageOf, type ProcessUsage } from './process-usage.ts'

export interface DaemonOptions {
  /** A folder for configuration, state and output; made when missing. A second daemon in it goes on where the first ended. */
  readonly directory: string
  readonly mysqlUrl: string
  readonly elasticsearchUrl: string
  /** Pipeline files by name: text as it is, or an object. */
  readonly pipelines: Readonly<Record<string, string | object>>
  /** Settings beside the sources and targets, such as `{ log: { segmentMb: 1 } }`. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Arguments after `run --config FILE`. */
  readonly extraArguments?: readonly string[]
  /** The program, for one that is composed otherwise; the default is the product's own. */
  readonly program?: string
  readonly environment?: Readonly<Record<string, string>>
}

/** One line of the daemon's JSON output. */
export type LogLine = Readonly<Record<string, unknown>>

/** A daemon that belongs to this process: it ends at the latest when this process ends, however it ends. */
export class DaemonProcess implements AsyncDisposable {
  /** When the process was started, by `performance.now()`. */
  readonly startedAt: number
  /** The same by the clock of the file system. */
  readonly #startedAtMs: number
  readonly #process: GuardedProcess
  readonly #stateDirectory: string
  readonly #outputFile: string

  /** Starts it and returns at once; `untilReady` and `until` wait for what it does. */
  constructor(options: DaemonOptions) {
    const { directory } = options
    const configFile = writeConfiguration(options)
    this.#stateDirectory = join(directory, 'state')
    this.#outputFile = join(directory, 'daemon.log')
    const program = options.program ?? fileURLToPath(new URL('../../bin/millrace', import.meta.url))
    this.startedAt = performance.now()
    this.#startedAtMs = Date.now()
    this.#process = new GuardedProcess({
      command: [
        process.execPath,
        ...engineFlags,
        program,
        'run',
        '--config',
        configFile,
        ...(options.extraArguments ?? []),
      ],
      workingDirectory: directory,
      logFile: this.#outputFile,
      environment: {
        MYSQL_URL: options.mysqlUrl,
        ELASTICSEARCH_URL: options.elasticsearchUrl,
        ...options.environment,
      },
    })
  }

  /** Starts it and resolves when it can be asked for what it does. */
  static async start(options: DaemonOptions): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(options)
    try {
      await daemon.untilReady()
    } catch (failure) {
      await daemon.kill()
      throw failure
    }
    return daemon
  }

  get pid(): number {
    return this.#process.pid
  }

  /** How it ended, or undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#process.exit
  }

  /** Resolves with how it ended by itself. Throws with the end of its output when it has not after `timeoutMs`. */
  async ended(timeoutMs = waitMsMax): Promise<Exit> {
    const patience = new AbortController()
    const late = delay(timeoutMs, undefined, { signal: patience.signal }).then(() => {
      throw this.#trouble(`did not end in ${timeoutMs / 1000} s`)
    })
    try {
      return await Promise.race([this.#process.exited, late])
    } finally {
      patience.abort()
    }
  }

  get exited(): Promise<Exit> {
    return this.#process.exited
  }

  /** Resolves when it can be asked for what it does. Throws with the end of its output when it ends before, or after `timeoutMs`. */
  async untilReady(timeoutMs = waitMsMax): Promise<void> {
    await this.until('answer on its control port', () => true, timeoutMs)
  }

  /** Resolves with why it is not ready, as soon as one of the reasons is like that. */
  async untilWaiting(reason: RegExp, timeoutMs = waitMsMax): Promise<string> {
    return await this.#poll(`say ${reason.source}`, timeoutMs, async () => {
      const answer = await this.#ask('/readyz')
      const { reasons = [] } = ((await answer?.json()) ?? {}) as { readonly reasons?: readonly string[] }
      return reasons.find((each) => reason.test(each))
    })
  }

  /** Resolves with the first status that fulfils the condition. Throws when the daemon ends before, or after `timeoutMs`. */
  async until(what: string, condition: (status: Status) => boolean, timeoutMs = waitMsMax): Promise<Status> {
    return await this.#poll(what, timeoutMs, async () => {
      const status = await this.#askStatus()
      return status !== undefined && condition(status) ? status : undefined
    })
  }

  /** Throws when the daemon does not answer. */
  async status(): Promise<Status> {
    const status = await this.#askStatus()
    if (status === undefined) throw this.#trouble('does not answer')
    return status
  }

  /** The one pipeline of its status. */
  async pipeline(name: string): Promise<PipelineStatus> {
    const { pipelines } = await this.status()
    const pipeline = pipelines.find((each) => each.name === name)
    if (pipeline === undefined) throw this.#trouble(`shows no pipeline ${name}`)
    return pipeline
  }

  /** Pauses, resumes or reloads `PIPELINE` or `PIPELINE@TARGET`. Throws when the daemon refuses. */
  async steer(pipeline: string, action: SteerAction): Promise<void> {
    const url = this.#controlUrl()
    if (url === undefined) throw this.#trouble('does not answer')
    await askToSteer(url, { pipeline, action }, AbortSignal.timeout(60_000))
  }

  /** Prometheus text. */
  async metrics(): Promise<string> {
    const answer = await this.#ask('/metrics')
    if (answer === undefined || !answer.ok) throw this.#trouble('shows no metrics')
    return await answer.text()
  }

  /** Resolves when its metrics have a line like that. */
  async untilMetrics(line: RegExp, timeoutMs = waitMsMax): Promise<void> {
    await this.#poll(`show ${line.source}`, timeoutMs, async () => line.test(await this.metrics()))
  }

  /** Resolves when what is looked at elsewhere is so. Throws when the daemon ends before, or after `timeoutMs`. */
  async untilSo(what: string, isSo: () => Promise<boolean>, timeoutMs = waitMsMax): Promise<void> {
    await this.#poll(what, timeoutMs, isSo)
  }

  /** Why it is not ready, each a sentence; none = it is. */
  async readiness(): Promise<readonly string[]> {
    const answer = await this.#ask('/readyz')
    if (answer === undefined) throw this.#trouble('does not answer')
    return ((await answer.json()) as { readonly reasons?: readonly string[] }).reasons ?? []
  }

  /** What it has used so far; the last chance is before it is stopped. */
  usage(): ProcessUsage {
    return usageOf(this.pid)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal)
  }

  /** Asks it to drain and end (SIGTERM) and resolves with how it ended; by force after `timeoutMs`. Idempotent. */
  async stop(timeoutMs = waitMsMax): Promise<Exit> {
    this.signal('SIGTERM')
    const patience = new AbortController()
    const force = delay(timeoutMs, undefined, { signal: patience.signal }).then(
      () => this.signal('SIGKILL'),
      () => {},
    )
    const exit = await this.#process.exited
    patience.abort()
    await force
    return exit
  }

  /** Ends it as a power failure would (SIGKILL). Idempotent. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL')
    return await this.#process.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** All it has written so far, of every daemon that ran in this folder. */
  output(): string {
    return existsSync(this.#outputFile) ? readFileSync(this.#outputFile, 'utf8') : ''
  }

  outputTail(lines = 20): string {
    return this.output().trimEnd().split('\n').slice(-lines).join('\n')
  }

  logLines(): readonly LogLine[] {
    return this.output()
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine)
  }

  /** What it and those before it in this folder have told of a fact, oldest first; `about` = what such a line has to say. */
  told(fact: string, about: LogLine = {}): readonly LogLine[] {
    const wanted = Object.entries({ fact, ...about })
    return this.logLines().filter((line) => wanted.every(([name, value]) => line[name] === value))
  }

  /**
   * To be called before what makes it tell of a fact: what it returns resolves when it has told of it since then. What it
   * told before that does not count.
   */
  expect(fact: string, about: LogLine = {}): () => Promise<void> {
    const before = this.told(fact, about).length
    return async () => {
      await this.until(`tell of ${fact}`, () => this.told(fact, about).length > before)
    }
  }

  async #askStatus(): Promise<Status | undefined> {
    const answer = await this.#ask('/v1/status')
    return answer?.ok === true ? ((await answer.json()) as Status) : undefined
  }

  /** undefined = nobody answers, or not yet. */
  async #ask(path: string): Promise<Response | undefined> {
    const url = this.#controlUrl()
    if (url === undefined) return undefined
    return await fetch(`${url}${path}`, { signal: AbortSignal.timeout(60_000) }).catch(() => undefined)
  }

  /** Where the control server listens, as it wrote itself. A killed daemon leaves an older note behind, which is not ours. */
  #controlUrl(): string | undefined {
    const file = join(this.#stateDirectory, 'control.json')
    const written = statSync(file, { throwIfNoEntry: false })
    if (written === undefined || written.mtimeMs < this.#startedAtMs) return undefined
    const text = readFileSync(file, 'utf8')
    if (!text.trimEnd().endsWith('}')) return undefined
    const { host, port } = JSON.parse(text) as { readonly host: string; readonly port: number }
    return `http://${host}:${port}`
  }

  async #poll<Found>(
    what: string,
    timeoutMs: number,
    look: () => Promise<Found | undefined | false>,
  ): Promise<Found> {
    const begun = performance.now()
    for (;;) {
      const found = await look()
      if (found !== undefined && found !== false) return found
      if (this.exit !== undefined) throw this.#trouble(`ended before: ${what}`)
      if (performance.now() - begun > timeoutMs)
        throw this.#trouble(`did not in ${timeoutMs / 1000} s: ${what}`)
      await delay(pollIntervalMs)
    }
  }

  #trouble(what: string): Error {
    const { exit } = this
    const end = exit === undefined ? '' : ` (${exit.signal ?? `exit code ${exit.code}`})`
    return new Error(`the daemon ${what}${end}\n${this.outputTail()}`)
  }
}

const pollIntervalMs = 50
/** Far longer than anything takes on a busy machine: who waits so long waits for what does not come. */
const waitMsMax = 240_000

/** The engine's flags with which bin/millrace starts the program. */
export const engineFlags = firstLine(new URL('../../bin/millrace', import.meta.url))
  .split(' ')
  .filter((word) => word.startsWith('--'))

function firstLine(file: URL): string {
  return readFileSync(file, 'utf8').split('\n')[0] ?? ''
}

/** The process's settings and its pipelines, as a person would write them; JSON is YAML. */
function writeConfiguration(options: DaemonOptions): string {
  const { directory, pipelines, settings = {} } = options
  const folder = join(directory, 'config')
  mkdirSync(join(folder, 'pipelines'), { recursive: true })
  for (const [name, pipeline] of Object.entries(pipelines)) {
    assert(/^[a-z0-9_-]+$/.test(name), 'the name of a pipeline becomes the name of a file')
    const text = typeof pipeline === 'string' ? pipeline : JSON.stringify(pipeline, undefined, 2)
    writeFileSync(join(folder, 'pipelines', `${name}.yaml`), text)
  }
  const file = join(folder, 'millrace.yaml')
  const all = {
    state: join(directory, 'state'),
    sources: { main: { url: '${MYSQL_URL}' } },
    targets: { primary: { url: '${ELASTICSEARCH_URL}' } },
    control: { port: 0 },
    logger: { format: 'json' },
    ...settings,
  }
  writeFileSync(file, JSON.stringify(all, undefined, 2))
  return file
}
