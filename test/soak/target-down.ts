/** The second of two targets, of another product, is down for minutes under load: the first does not notice, both end equal. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import type { PipelineStatus } from '../../src/control/operations.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

export interface TargetDown {
  /** How long the second target is down. */
  readonly seconds: number
  readonly say: (text: string) => void
}

/** How far the first target was behind, looked at twice a second. */
interface Lag {
  readonly medianSeconds: number
  readonly mostSeconds: number
}

export interface TargetDownResult {
  readonly before: Lag
  readonly during: Lag
  /** Of the target that was down, when it came back. */
  readonly missedChanges: number
  readonly catchUpSeconds: number
  readonly documents: number
}

const beforeSeconds = 30
const lookEveryMs = 500
/** More than this is no noise of the machine. */
const slowerSecondsMax = 1
const catchUpMsMax = 600_000

/** Throws where the first target falls behind, where a document is refused, or where the two are not equal in the end. */
export async function takeTargetDown(stack: Stack, { seconds, say }: TargetDown): Promise<TargetDownResult> {
  const { mysql, elasticsearch, opensearch } = stack
  const connection = await mysql.connect()
  try {
    await createItems(connection, 'twice.items', 2000)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, 'target-down'),
      mysqlUrl: mysql.cdcUrl,
      elasticsearchUrl: elasticsearch.url,
      settings: { targets: { first: { url: elasticsearch.url }, second: { url: opensearch.url } } },
      pipelines: { twice: { table: 'twice.items', targets: [{ name: 'first' }, { name: 'second' }] } },
    })
    await untilCaughtUp(daemon, connection)
    await using workload = new Workload({
      connect: () => mysql.connect(),
      table: 'twice.items',
      seed: 11,
      ids: 5000,
      transactionsPerSecond: 100,
    })
    workload.start()
    const before = await lagFor(daemon, beforeSeconds)
    say(`both are there: the first target is ${told(before)} behind; now the second goes`)
    await opensearch.kill()
    const during = await lagFor(daemon, seconds)
    const missed = await daemon.until('have the second wait', ({ pipelines }) =>
      pipelines.some(({ target, state }) => target === 'second' && state === 'waiting'),
    )
    const missedChanges = ofTarget(missed.pipelines, 'second').lagChanges
    say(`down for ${seconds} s: the first is ${told(during)} behind, the second ${missedChanges} changes`)
    await opensearch.start()
    await workload.stop()
    const backAt = performance.now()
    const { pipelines } = await untilCaughtUp(daemon, connection, catchUpMsMax)
    const catchUpSeconds = (performance.now() - backAt) / 1000
    for (const { deadLetters, target } of pipelines) assert.equal(deadLetters, 0, target)
    assert(
      during.medianSeconds <= before.medianSeconds + slowerSecondsMax,
      `the first target was ${told(before)} behind, and ${told(during)} while the second was down`,
    )
    assert(missedChanges > 10 * seconds, `${missedChanges} changes in ${seconds} s are no load`)
    say(`caught up in ${catchUpSeconds.toFixed(0)} s; comparing`)
    const documents = await assertEqual(connection, [elasticsearch.url, opensearch.url])
    assert.equal((await daemon.stop()).code, 0)
    return { before, during, missedChanges, catchUpSeconds, documents }
  } finally {
    await connection.end()
  }
}

async function lagFor(daemon: DaemonProcess, seconds: number): Promise<Lag> {
  const until = performance.now() + 1000 * seconds
  const seen: number[] = []
  while (performance.now() < until) {
    const first = ofTarget((await daemon.status()).pipelines, 'first')
    assert.equal(first.state, 'running', first.error ?? '')
    seen.push(first.lagSeconds)
    await sleep(lookEveryMs)
  }
  seen.sort((one, other) => one - other)
  return { medianSeconds: seen[seen.length >> 1] ?? 0, mostSeconds: seen.at(-1) ?? 0 }
}

function ofTarget(pipelines: readonly PipelineStatus[], target: string): PipelineStatus {
  const found = pipelines.find((each) => each.target === target)
  assert(found !== undefined, `there is no target ${target}`)
  return found
}

function told({ medianSeconds, mostSeconds }: Lag): string {
  return `${medianSeconds.toFixed(1)} s (${mostSeconds.toFixed(1)} s at most)`
}

async function assertEqual(connection: Connection, urls: readonly string[]): Promise<number> {
  let documents = 0
  for (const url of urls) {
    const index = new SearchIndex(url, 'twice')
    const { rows, differences } = await differencesOfItems(connection, 'twice.items', index)
    assert.deepEqual(differences.slice(0, 10), [], url)
    documents = rows
  }
  assert(documents > 0)
  return documents
}
