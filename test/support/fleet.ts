/** Processes of one deployment: they share a log in Kafka and a store in MySQL, and each has roles of its own. */
import { join } from 'node:path'
import { startKafka } from '../stack/kafka.ts'
import type { Report } from '../stack/progress.ts'
import type { Stack } from '../stack/stack.ts'
import { DaemonProcess, type DaemonOptions } from './daemon-process.ts'
import { startSuiteStack } from './suite-stack.ts'

export interface FleetOptions {
  /** Prefix of the topics, and of the names of the store's schema and of the processes' folders. */
  readonly name: string
  readonly pipelines: DaemonOptions['pipelines']
  readonly lanes: number
  /** Settings of all processes beside those that a fleet needs itself. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** What a fleet needs; the broker lets go of a process that does not answer after seconds, where others take most of a minute. */
export async function startFleetStack(report?: Report, more: readonly string[] = []): Promise<Stack> {
  const stack = await startSuiteStack({
    servers: ['mysql', ...more, 'elasticsearch'],
    ...(report === undefined ? {} : { onProgress: report }),
  })
  try {
    stack.add('kafka', await startKafka({ directory: stack.directory, settings: impatient }))
    return stack
  } catch (error) {
    await stack[Symbol.asyncDispose]()
    throw error
  }
}

const impatient: Readonly<Record<string, string>> = {
  'group.consumer.min.session.timeout.ms': '3000',
  'group.consumer.session.timeout.ms': '6000',
  'group.consumer.min.heartbeat.interval.ms': '500',
  'group.consumer.heartbeat.interval.ms': '1000',
}

export class Fleet implements AsyncDisposable {
  readonly #stack: Stack
  readonly #options: FleetOptions
  readonly #started = new Map<string, DaemonProcess>()

  private constructor(stack: Stack, options: FleetOptions) {
    this.#stack = stack
    this.#options = options
  }

  /** The stack has mysql, kafka and elasticsearch. */
  static async create(stack: Stack, options: FleetOptions): Promise<Fleet> {
    await stack.mysql.execute(`CREATE DATABASE ${options.name}_state`)
    return new Fleet(stack, options)
  }

  get broker(): string {
    return this.#stack.kafka.broker
  }

  /** Starts a process, or starts it again where it was. */
  async start(process: string, roles: string): Promise<DaemonProcess> {
    const daemon = await DaemonProcess.start(this.#optionsOf(process, roles))
    this.#started.set(process, daemon)
    return daemon
  }

  /** Where a process has its configuration, its state and its output. */
  directoryOf(process: string): string {
    return join(this.#stack.directory, `${this.#options.name}-${process}`)
  }

  /** Stops all processes; those that are frozen go on for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    const daemons = [...this.#started.values()].filter(({ exit }) => exit === undefined)
    for (const daemon of daemons) daemon.signal('SIGCONT')
    await Promise.all(daemons.map((daemon) => daemon.stop()))
  }

  #optionsOf(process: string, roles: string): DaemonOptions {
    const { name, pipelines, lanes, settings = {} } = this.#options
    const { mysql, elasticsearch } = this.#stack
    // An independent client that reads the topics knows gzip and no lz4.
    const kafka = { brokers: [this.broker], prefix: name, replication: 1, compression: 'gzip' }
    return {
      directory: this.directoryOf(process),
      mysqlUrl: mysql.cdcUrl,
      elasticsearchUrl: elasticsearch.url,
      pipelines,
      settings: {
        leaseSeconds: 3,
        store: { kind: 'mysql', url: `${mysql.appUrl}${name}_state` },
        log: { kind: 'kafka', lanes, kafka },
        ...settings,
      },
      extraArguments: ['--roles', roles],
    }
  }
}
