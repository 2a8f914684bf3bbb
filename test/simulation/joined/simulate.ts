/**
 * One seed's story of documents that several tables make: changes of all tables, processes that die, most of them in the
 * midst of deriving, a source and a target that fail; and at rest every document is what its rows make.
 */
import { isDeepStrictEqual } from 'node:util'
import { Failure } from '../../../src/change/failure.ts'
import { derivingGroup, fanOutsOf } from '../../../src/pipeline/deriving/deriving.ts'
import { loadState } from '../../../src/pipeline/capture/load-state.ts'
import { MemoryDisk } from '../../support/memory-disk.ts'
import { MemoryDatabase } from '../../support/memory-database.ts'
import { MemorySource } from '../../support/memory-source.ts'
import { Random } from '../../support/random.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { Gate, gatedClock } from '../gate.ts'
import { drawSettings, type Settings } from '../settings.ts'
import type { Story } from '../simulate.ts'
import { Target } from '../target.ts'
import { group, JoinedLife, pipelineName } from './life.ts'
import { Shop } from './shop.ts'

/** Throws what did not hold. */
export async function simulateJoined({ seed, steps, tell }: Story): Promise<void> {
  const world = new JoinedWorld(seed, tell)
  for (let act = 0; act < acts; act++) {
    const length = 1 + world.random.below(steps)
    for (let step = 0; step < length; step++) await takeStep(world)
    await world.comeToRest()
  }
}

const acts = 3

/**
 * The same few changes again and again, with the process killed at the first, the second, ... thing that deriving does.
 * Answers how many there are; throws what did not hold.
 */
export async function killAtEachStep(seed: number): Promise<number> {
  for (let at = 1; ; at++) {
    const world = new JoinedWorld(seed, () => undefined)
    await world.comeToRest()
    world.killIn(at)
    // What comes after the kill would hide what it undid.
    for (let left = 6; left > 0 && world.life.isAlive; left--) {
      world.shop.transact(4)
      await world.pass(300)
    }
    const wasKilled = !world.life.isAlive
    await world.comeToRest()
    if (!wasKilled) return at - 1
  }
}

async function takeStep(world: JoinedWorld): Promise<void> {
  const { random } = world
  const chance = random.next()
  if (chance < 0.15) world.killIn(1 + random.below(60))
  else if (chance < 0.2) world.kill()
  else if (chance < 0.25) world.cutPower()
  else if (chance < 0.3) world.sourceFaults = random.pick([0, 0.05, 0.2])
  else if (chance < 0.35) world.target.faults = random.pick([0, 0.1, 0.5])
  for (let left = random.below(4); left > 0; left--) {
    world.shop.transact(1 + random.below(6))
    if (random.next() < 0.5) await world.pass(random.below(50))
  }
  await world.pass(random.pick([5, 100, 2_000, 15_000]))
  world.start()
}

class JoinedWorld {
  readonly random: Random
  readonly clock: VirtualClock
  readonly shop: Shop
  readonly target: Target
  life: JoinedLife
  sourceFaults = 0
  readonly #tell: Story['tell']
  readonly #settings: Settings
  readonly #database: MemoryDatabase
  readonly #disk: MemoryDisk
  readonly #pageRows: number
  /** The highest version that was seen of each document. */
  readonly #versions = new Map<string, bigint>()
  #gate: Gate
  #stepsLeft = Infinity

  constructor(seed: number, tell: Story['tell']) {
    this.#tell = tell
    this.random = new Random(seed)
    this.clock = new VirtualClock(seed)
    const drawn = drawSettings(this.random)
    // What a group loses is another story's matter.
    this.#settings = { ...drawn, log: { ...drawn.log, ceilingBytes: 2 ** 30, mayLose: false } }
    this.#database = new MemoryDatabase(() => this.clock.now())
    this.shop = new Shop(this.#database, this.random)
    this.#disk = new MemoryDisk({ random: () => this.random.next() })
    this.target = new Target(this.random, this.clock, undefined)
    this.#pageRows = this.random.pick([2, 3, 10, 1000])
    this.shop.transact(this.random.pick([20, 150]))
    tell(JSON.stringify({ ...this.#settings, pageRows: this.#pageRows }))
    this.#gate = this.#newGate()
    this.life = this.#begin()
  }

  /** The process dies at the so many-th thing that deriving does from now on, or has done. */
  killIn(steps: number): void {
    this.#stepsLeft = steps
  }

  kill(): void {
    this.#tell('killed')
    this.#gate.close()
    this.#disk.kill()
  }

  cutPower(): void {
    this.#tell('the power is cut')
    this.#gate.close()
    this.#disk.crash()
  }

  start(): void {
    if (this.life.isAlive) return
    if (this.life.end !== undefined)
      throw new Error('a process ended by itself', { cause: this.life.end.error })
    this.#tell('a process starts')
    this.#stepsLeft = Infinity
    this.#gate = this.#newGate()
    this.life = this.#begin()
  }

  async pass(durationMs: number): Promise<void> {
    await this.clock.advance(durationMs)
    for (const [id, { version }] of this.target.index.documents()) {
      if (version < (this.#versions.get(id) ?? 0n)) throw new Error(`document ${id} went back to ${version}`)
      this.#versions.set(id, version)
    }
  }

  /** No trouble any more: everything must come to rest by itself, and be right. */
  async comeToRest(): Promise<void> {
    this.#tell('no more trouble')
    this.#stepsLeft = Infinity
    this.sourceFaults = 0
    this.target.faults = 0
    for (let waits = 0; waits < 200; waits++) {
      this.start()
      await this.pass(2_000)
      if (await this.#isAtRest()) return this.#assertEqual()
    }
    throw new Error('it does not come to rest')
  }

  #newGate(): Gate {
    const { lingering, lingerMsMax } = this.#settings
    return new Gate(async () => {
      if (this.random.next() < lingering) await this.#sleep(this.random.below(lingerMsMax))
    })
  }

  #begin(): JoinedLife {
    const gate = this.#gate
    const { clock, target, shop } = this
    return new JoinedLife({
      settings: this.#settings,
      gate,
      clock,
      disk: this.#disk,
      target,
      shop,
      source: this.#source(gate),
      pageRows: this.#pageRows,
      observe: (fact) => this.#tell(`${fact.kind} ${'failure' in fact ? String(fact.failure) : ''}`),
      step: () => {
        if (gate.isOpen && --this.#stepsLeft <= 0) this.kill()
      },
    })
  }

  #source(gate: Gate): MemorySource {
    return new MemorySource({
      database: this.#database,
      clock: gatedClock(this.clock, gate),
      pieceRows: this.#settings.pieceRows,
      heartbeatMs: this.#settings.heartbeatMs,
      suffer: (call) =>
        gate.call(async () => {
          if (call !== 'read') await this.#sleep(this.random.below(this.#settings.lingerMsMax))
          if (this.random.next() < this.sourceFaults)
            throw new Failure('transient', 'the source does not answer')
        }),
    })
  }

  async #isAtRest(): Promise<boolean> {
    const { log, capture } = this.life
    const control = capture?.control
    if (log === undefined || control === undefined || this.target.underWay > 0) return false
    if (loadState(control, group)?.phase !== 'done') return false
    if (control.producers['source:main'] !== String(this.#database.executed)) return false
    const { next } = await this.clock.until(log.retention())
    const groups = await this.clock.until(log.groups())
    const own = groups.filter(({ name }) => name === group || name === derivingGroup(pipelineName))
    return own.every((each) => fanOutsOf(each) === 0 && each.lanes.every((lane) => lane === next))
  }

  #assertEqual(): void {
    const wanted = this.shop.documents()
    const found = this.target.index.documents()
    const ids = new Set([...wanted.keys(), ...found.keys()])
    const wrong = [...ids].flatMap((id) => {
      const source = found.get(id)?.source
      const document: unknown = source === undefined ? undefined : JSON.parse(source)
      const isRight = isDeepStrictEqual(document, wanted.get(id))
      return isRight ? [] : [`${id} is ${source}, and should be ${JSON.stringify(wanted.get(id))}`]
    })
    if (wrong.length > 0) throw new Error(`at rest documents are wrong:\n  ${wrong.join('\n  ')}`)
  }

  #sleep(durationMs: number): Promise<void> {
    return this.clock.sleep(durationMs, new AbortController().signal)
  }
}
