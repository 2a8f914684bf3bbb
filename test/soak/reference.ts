/**
 * Documents of several tables under load on all of them, while processes are killed and networks are slow and break: at rest
 * each is what one statement of the database builds, and none went back meanwhile.
 *
 *   application ─▶ MySQL ─▶ (proxy) ─▶ one process, or one that captures, one that stands by, N that deliver ─▶ index
 *                    └─▶ replica, 5 s behind: documents are read there                    └─▶ (proxy) ─▶ a service that enriches
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { Fleet } from '../support/fleet.ts'
import { startFreezingProxy } from '../support/freezing-proxy.ts'
import { Random } from '../support/random.ts'
import { SearchIndex } from '../support/search-index.ts'
import { startService } from '../support/service.ts'
import { ShopLoad } from '../support/shop-load.ts'
import { createShop, differencesOfShop, ratedShopPipeline, ratings } from '../support/shop.ts'

export interface ReferenceTrouble {
  readonly name: string
  readonly seconds: number
  readonly seed: number
  /** More than one share a log in Kafka. */
  readonly deliverers: number
  /** Whether documents are read on the stack's replica. */
  readonly replica: boolean
  /** How long nothing is done to it, ms. */
  readonly pauseMs: number
  readonly say: (text: string) => void
}

export interface ReferenceResult {
  readonly deliverers: number
  readonly kills: number
  readonly cuts: number
  readonly documents: number
}

const orders = 320

/** Throws where documents differ from the reference at rest, or one went back. */
export async function troubleReference(stack: Stack, trouble: ReferenceTrouble): Promise<ReferenceResult> {
  const { name, seed, deliverers } = trouble
  const connection = await stack.mysql.connect()
  try {
    await createShop(connection, name, 300)
    if (trouble.replica) await delayReplica(stack)
    await using load = await ShopLoad.start(stack, { schema: name, seed, orders })
    await using service = await startService(({ body }) => ({ body: ratings(body) }))
    await using toDatabase = await startFreezingProxy(portOf(stack.mysql.cdcUrl))
    await using toUpstream = await startFreezingProxy(portOf(service.url))
    const proxies = [toDatabase, toUpstream]
    const settings = settingsOf(stack, trouble, {
      database: withPort(stack.mysql.cdcUrl, toDatabase.port),
      upstream: withPort(service.url, toUpstream.port),
    })
    await using processes = await Processes.start(stack, trouble, settings)
    const { kills, cuts } = await disturb(processes, proxies, trouble)
    await load.stop()
    await untilCaughtUp(processes.one, connection, 300_000)
    await load.assertForward()
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const found = await differencesOfShop(connection, { schema: name, isRated: true }, index)
    assert.deepEqual(found.differences.slice(0, 5), [])
    assert(found.documents > 0)
    return { deliverers, kills, cuts, documents: found.documents }
  } finally {
    connection.destroy()
  }
}

/** Until the time is over and everything has happened. */
async function disturb(
  processes: Processes,
  proxies: readonly Pick<Awaited<ReturnType<typeof startFreezingProxy>>, 'slow' | 'cut'>[],
  { seconds, seed, deliverers, pauseMs, say }: ReferenceTrouble,
): Promise<Pick<ReferenceResult, 'kills' | 'cuts'>> {
  const random = new Random(seed)
  let [kills, cuts] = [0, 0]
  const endMs = performance.now() + seconds * 1000
  while (performance.now() < endMs || kills < deliverers || cuts === 0) {
    for (const proxy of proxies) proxy.slow(random.below(15))
    await delay(pauseMs * (0.5 + random.next()))
    if (random.next() < 0.4) {
      for (const proxy of proxies) proxy.cut()
      cuts++
      say('networks broke')
    } else {
      say(`${await processes.killOne(random)} was killed and started again`)
      kills++
    }
  }
  for (const proxy of proxies) proxy.slow(0)
  return { kills, cuts }
}

async function delayReplica(stack: Stack): Promise<void> {
  await replicaOf(stack).execute(
    'STOP REPLICA SQL_THREAD',
    'CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 5',
    'START REPLICA SQL_THREAD',
  )
}

function replicaOf(stack: Stack): SqlServer {
  return stack.servers.get('mysql-replica') as SqlServer
}

type Settings = Readonly<Record<string, unknown>>

function settingsOf(
  stack: Stack,
  { replica }: ReferenceTrouble,
  { database, upstream }: { readonly database: string; readonly upstream: string },
): Settings {
  const reads = { from: 'late', otherwise: 'wait', waitSeconds: 60 }
  return {
    sources: replica
      ? { main: { url: database, reads }, late: { url: replicaOf(stack).cdcUrl } }
      : { main: { url: database } },
    upstreams: { ratings: { url: upstream, method: 'post', batch: 20 } },
  }
}

/** What captures and delivers, each part as often as asked for; one that is killed is started again in its place. */
class Processes implements AsyncDisposable {
  readonly #start: (name: string) => Promise<DaemonProcess>
  readonly #running: Map<string, DaemonProcess>
  readonly #end: () => Promise<void>

  private constructor(
    start: (name: string) => Promise<DaemonProcess>,
    running: Map<string, DaemonProcess>,
    end: () => Promise<void>,
  ) {
    this.#start = start
    this.#running = running
    this.#end = end
  }

  static async start(
    stack: Stack,
    { name, deliverers }: ReferenceTrouble,
    settings: Settings,
  ): Promise<Processes> {
    const pipelines = { [name]: ratedShopPipeline(name) }
    const running = new Map<string, DaemonProcess>()
    if (deliverers === 1) {
      const { mysql, elasticsearch } = stack
      const start = async (): Promise<DaemonProcess> =>
        await DaemonProcess.start({
          directory: join(stack.directory, name),
          mysqlUrl: mysql.cdcUrl,
          elasticsearchUrl: elasticsearch.url,
          pipelines,
          settings: { ...settings, log: { lanes: 3 } },
        })
      running.set('the daemon', await start())
      return new Processes(start, running, async () => {
        for (const daemon of running.values()) await daemon.stop()
      })
    }
    const fleet = await Fleet.create(stack, { name, lanes: 6, pipelines, settings })
    const start = async (process: string): Promise<DaemonProcess> =>
      await fleet.start(process, `${process.startsWith('capture') ? 'capture' : 'deliver'},control`)
    const names = [
      'capture-0',
      'capture-1',
      ...Array.from({ length: deliverers }, (_, at) => `deliver-${at}`),
    ]
    for (const process of names) running.set(process, await start(process))
    return new Processes(start, running, async () => await fleet[Symbol.asyncDispose]())
  }

  /** One that delivers. */
  get one(): DaemonProcess {
    const daemon = this.#running.get('the daemon') ?? this.#running.get('deliver-0')
    assert(daemon !== undefined)
    return daemon
  }

  /** Answers which. */
  async killOne(random: Random): Promise<string> {
    const name = random.pick([...this.#running.keys()])
    const daemon = this.#running.get(name)
    assert.equal(daemon?.exit, undefined, `${name} has ended: ${daemon?.outputTail()}`)
    await daemon?.kill()
    this.#running.set(name, await this.#start(name))
    return name
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

function withPort(url: string, port: number): string {
  const moved = new URL(url)
  moved.port = String(port)
  return moved.href
}
