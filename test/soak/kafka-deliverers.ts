/** Deliverers of one group are frozen until others have their lanes, come back as zombies, come and go, under load. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { VersionWatch } from '../support/version-watch.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import type { DaemonProcess } from '../support/daemon-process.ts'
import { Fleet } from '../support/fleet.ts'
import { differencesOfItems } from '../support/items.ts'
import { Random } from '../support/random.ts'
import { ResolvedWatch } from '../support/resolved-watch.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createItems, Workload } from '../support/workload.ts'

export interface DelivererTrouble {
  readonly name: string
  /** For how long; everything happens once at least. */
  readonly seconds: number
  /** How long a process is frozen, ms: longer than the brokers wait for a member makes it a zombie. */
  readonly frozenMs: number
  readonly seed: number
  readonly say: (text: string) => void
}

export interface DelivererTroubleResult {
  readonly freezes: number
  readonly starts: number
  readonly stops: number
  readonly kills: number
  readonly transactions: number
  readonly rows: number
  /** Versions that were read while all this went on; none went back. */
  readonly versionsSeen: number
  /** Changes that were held against the index when a place behind them was committed. */
  readonly changesHeld: number
}

const ids = 400
const lanes = 6
const [deliverersMin, deliverersMax] = [1, 5]

/** Throws where a document went back, a committed place passed a change that is not there, or index and table differ. */
export async function troubleDeliverers(
  stack: Stack,
  trouble: DelivererTrouble,
): Promise<DelivererTroubleResult> {
  const { name, seed, say } = trouble
  const table = `${name}.items`
  const connection = await stack.mysql.connect()
  await using fleet = await Fleet.create(stack, { name, lanes, pipelines: { [name]: { table } } })
  try {
    await createItems(connection, table, ids / 2)
    const capturing = await fleet.start('capture', 'capture,control')
    const deliverers = new Deliverers(fleet, new Random(seed), say)
    for (let count = 0; count < 3; count++) await deliverers.more()
    await untilCaughtUp(await deliverers.untilOneRuns(), connection)
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const versions = new VersionWatch(new SearchIndex(stack.elasticsearch.url, name), ids, seed)
    const group = `${name}.${name}@primary`
    await using resolved = new ResolvedWatch({
      broker: fleet.broker,
      topic: `${name}.${table}`,
      group,
      index,
    })
    const connect = () => stack.mysql.connect()
    await using workload = new Workload({
      connect,
      table,
      seed,
      ids,
      transactionsPerSecond: 40,
      deletes: 0.5,
    })
    workload.start()
    versions.start()
    await resolved.start()
    const endMs = performance.now() + trouble.seconds * 1000
    do await deliverers.disturb(trouble.frozenMs)
    while (performance.now() < endMs)
    await workload.stop()
    await untilCaughtUp(await deliverers.untilOneRuns(), connection, 300_000)
    await versions.stop()
    assert.deepEqual((await resolved.stop()).slice(0, 10), [])
    assert.deepEqual(versions.violations.slice(0, 10), [])
    const { rows, differences } = await differencesOfItems(connection, table, index)
    assert.deepEqual(differences.slice(0, 10), [])
    assert.equal((await capturing.stop()).code, 0)
    return {
      ...deliverers.counts,
      transactions: workload.transactions,
      rows,
      versionsSeen: versions.looks,
      changesHeld: resolved.checked,
    }
  } finally {
    connection.destroy()
  }
}

type Disturbance = 'freeze' | 'more' | 'stop' | 'kill'

class Deliverers {
  readonly counts = { freezes: 0, starts: 0, stops: 0, kills: 0 }
  readonly #fleet: Fleet
  readonly #random: Random
  readonly #say: (text: string) => void
  readonly #running = new Map<string, DaemonProcess>()
  readonly #frozen = new Map<string, Promise<void>>()

  constructor(fleet: Fleet, random: Random, say: (text: string) => void) {
    this.#fleet = fleet
    this.#random = random
    this.#say = say
  }

  async more(): Promise<void> {
    const names = Array.from({ length: deliverersMax }, (_, at) => `deliver-${at}`)
    const name = names.find((each) => !this.#running.has(each))
    assert(name !== undefined, 'not all run')
    this.#running.set(name, await this.#fleet.start(name, 'deliver,control'))
    this.counts.starts++
    this.#say(`${name} is started; ${this.#running.size} deliver`)
  }

  /** Everything that may happen, in any order. */
  async disturb(frozenMs: number): Promise<void> {
    const left: Disturbance[] = ['freeze', 'freeze', 'freeze', 'more', 'stop', 'kill']
    while (left.length > 0) {
      const [next = 'freeze'] = left.splice(this.#random.below(left.length), 1)
      await this.#disturb(next, frozenMs)
      await delay(frozenMs / 4)
    }
  }

  async #disturb(disturbance: Disturbance, frozenMs: number): Promise<void> {
    const awake = [...this.#running.keys()].filter((name) => !this.#frozen.has(name))
    if (disturbance === 'more') {
      if (this.#running.size < deliverersMax) await this.more()
    } else if (awake.length > 0) {
      const name = this.#random.pick(awake)
      if (disturbance === 'freeze') this.#freeze(name, frozenMs)
      else if (this.#running.size > deliverersMin) await this.#end(name, disturbance)
    }
  }

  /** Resolves with one that delivers, when none is frozen. */
  async untilOneRuns(): Promise<DaemonProcess> {
    await Promise.all(this.#frozen.values())
    for (const [name, daemon] of this.#running)
      assert.equal(daemon.exit, undefined, `${name} has ended: ${daemon.outputTail()}`)
    const [one] = this.#running.values()
    assert(one !== undefined, 'some are left')
    await one.until('run', ({ pipelines }) => pipelines[0]?.state === 'running', 300_000)
    return one
  }

  async #end(name: string, way: 'stop' | 'kill'): Promise<void> {
    const daemon = this.#running.get(name)
    if (way === 'kill') await daemon?.kill()
    else assert.equal((await daemon?.stop())?.code, 0, `${name} stops in order`)
    this.#running.delete(name)
    this.counts[way === 'kill' ? 'kills' : 'stops']++
    this.#say(`${name}: ${way}; ${this.#running.size} deliver`)
  }

  #freeze(name: string, frozenMs: number): void {
    this.#running.get(name)?.signal('SIGSTOP')
    this.counts.freezes++
    this.#say(`${name} is frozen for ${Math.round(frozenMs / 1000)} s`)
    const thaw = async (): Promise<void> => {
      await delay(frozenMs)
      this.#running.get(name)?.signal('SIGCONT')
      this.#frozen.delete(name)
    }
    this.#frozen.set(name, thaw())
  }
}
