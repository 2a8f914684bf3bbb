/** Daemons that share one log in Kafka: each has a part of the roles and none of the other's work. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DaemonProcess } from '../support/daemon-process.ts'
import type { Stack } from '../stack/stack.ts'

export interface SharedLog {
  readonly stack: Stack
  /** Of the topics; another one is another log. */
  readonly prefix: string
  readonly lanes: number
  /** Where what is delivered goes: to the search server, or nowhere. */
  readonly target: 'search' | 'nowhere'
}

/** Makes what daemons of a log share beside it. */
export async function prepareLog({ stack, prefix }: SharedLog): Promise<void> {
  await stack.mysql.execute(`CREATE DATABASE ${stateOf(prefix)}`)
}

export interface SharedDaemon {
  readonly name: string
  readonly role: 'capture' | 'deliver'
  readonly pipelines: Readonly<Record<string, object>>
  readonly elasticsearchUrl?: string
}

export function startDaemon(
  { stack, prefix, lanes, target }: SharedLog,
  daemon: SharedDaemon,
): DaemonProcess {
  const module = fileURLToPath(new URL('null-service.ts', import.meta.url))
  return new DaemonProcess({
    directory: join(stack.directory, `${prefix}-${daemon.name}`),
    mysqlUrl: stack.mysql.cdcUrl,
    elasticsearchUrl: stack.elasticsearch.url,
    pipelines: daemon.pipelines,
    settings: {
      store: { kind: 'mysql', url: `${stack.mysql.appUrl}${stateOf(prefix)}` },
      log: { kind: 'kafka', lanes, kafka: { brokers: [stack.kafka.broker], prefix, replication: 1 } },
      targets: {
        [target]:
          target === 'nowhere'
            ? { kind: 'module', module, lists: false }
            : { url: daemon.elasticsearchUrl ?? stack.elasticsearch.url },
      },
    },
    extraArguments: ['--roles', `${daemon.role},control`],
  })
}

function stateOf(prefix: string): string {
  return `${prefix.replaceAll('-', '_')}_state`
}

/** The sum of a counter over all its labels; 0 while the daemon does not answer yet. */
async function counterOf(daemon: DaemonProcess, name: string): Promise<number> {
  const text = await daemon.metrics().catch(() => '')
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** Waits until a counter of several daemons together has come so far; its rate from the first that was seen on. */
export async function countTo(
  daemons: readonly DaemonProcess[],
  name: string,
  goal: number,
  onProgress: (done: number) => void,
): Promise<number> {
  let first: { readonly atMs: number; readonly count: number } | undefined
  for (;;) {
    const counts = await Promise.all(daemons.map((daemon) => counterOf(daemon, name)))
    const count = counts.reduce((sum, each) => sum + each, 0)
    const atMs = performance.now()
    if (count > 0) first ??= { atMs, count }
    if (first !== undefined && count >= goal)
      return count === first.count ? 0 : ((count - first.count) * 1000) / (atMs - first.atMs)
    onProgress(count)
    for (const daemon of daemons)
      if (daemon.exit !== undefined) throw new Error(`a daemon ended\n${daemon.outputTail()}`)
    await delay(intervalMs)
  }
}

/** Each question costs the daemon some of the CPU time that is measured. */
const intervalMs = 500

/** Ends a daemon. Throws with its output where it did not end well. */
export async function stopWell(daemon: DaemonProcess): Promise<void> {
  const exit = await daemon.stop()
  if (exit.code !== 0)
    throw new Error(`the daemon ended with ${exit.signal ?? exit.code}\n${daemon.outputTail()}`)
}
