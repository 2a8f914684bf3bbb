/**
 * A world in small, driven by one seed: an application and its database, a disk, a search server, the process between
 * them, and all that may happen to each. Everything happens in steps on a virtual clock, so a seed tells the whole story.
 */
import { inspect } from 'node:util'
import { explain, Failure } from '../../src/change/failure.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { Fact } from '../../src/pipeline/facts.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { MemoryDatabase } from '../support/memory-database.ts'
import { MemorySource } from '../support/memory-source.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { Random } from '../support/random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { Application } from './application.ts'
import { Checks } from './checks.ts'
import { Gate, gatedClock, gatedDisk } from './gate.ts'
import { shorten } from './shortening.ts'
import { Life, sourceName } from './life.ts'
import { drawSettings, type Settings } from './settings.ts'
import { Target } from './target.ts'

const noWishes = { reload: false, keep: false, adopt: false }

export interface WorldOptions {
  readonly seed: number
  /** Told what happens, for people. */
  readonly tell: (line: string) => void
}

export class World {
  readonly random: Random
  readonly clock: VirtualClock
  readonly settings: Settings
  readonly database: MemoryDatabase
  readonly application: Application
  readonly disk: MemoryDisk
  readonly target: Target
  readonly checks: Checks
  /** Outlives every process, and every log. */
  readonly store = new MemoryStore()
  /** Decides when a person replays; undefined = never. Of its own, so that the other stories stay what they are. */
  readonly replaying: Random | undefined
  /** Decides when the database's server is lost; undefined = never. Likewise. */
  readonly losing: Random | undefined
  life: Life
  /** A share of the calls to the source fails. */
  sourceFaults = 0
  /** The index was replaced: a person must ask for a reload. */
  reloadIsDue = false
  readonly #tell: (line: string) => void
  readonly #startedAtMs: number
  #logs = 0
  /** The process was asked to reload. */
  #reloads = false

  constructor({ seed, tell }: WorldOptions) {
    this.random = new Random(seed)
    this.clock = new VirtualClock(seed)
    this.settings = drawSettings(this.random)
    this.database = new MemoryDatabase(() => this.clock.now())
    this.application = new Application(this.database, this.random)
    this.disk = new MemoryDisk({ random: () => this.random.next() })
    this.target = new Target(this.random, this.clock, this.settings.faultAtMost)
    this.#tell = tell
    this.#startedAtMs = this.clock.now()
    const source = this.plainSource()
    this.replaying = seed % 4 === 3 ? new Random(seed) : undefined
    this.losing = seed % 5 === 2 ? new Random(seed) : undefined
    const { shortened, trouble } = this.settings
    const returns =
      shortened > 0 || trouble.touch > 0 || this.replaying !== undefined || this.losing !== undefined
    this.checks = new Checks(this.target.index, (a, b) => source.covers(a, b), { ...this.settings, returns })
    if (this.settings.rowsAtStart > 0) this.application.transact(this.settings.rowsAtStart)
    this.tell(JSON.stringify(this.settings))
    this.life = this.#begin(false)
  }

  tell(line: string): void {
    this.#tell(`${String(this.clock.now() - this.#startedAtMs).padStart(8)} ms  ${line}`)
  }

  /** The process dies at once. */
  kill(): void {
    this.life.kill()
    this.disk.kill()
  }

  /** The machine goes out: what was not synced may be lost. */
  cutPower(): void {
    this.life.kill()
    this.disk.crash()
  }

  /** The process is asked to end, and does. */
  async stop(): Promise<void> {
    if (this.life.isAlive) await this.clock.until(this.life.stop())
  }

  /** Starts a process where there is none. A person reloads where that is due, or on a whim. */
  start(reload = false): void {
    if (this.life.isAlive) return
    const needed = this.#judgeEnd()
    this.life = this.#begin(reload || needed)
  }

  /** The state folder is gone. No request of the old log may be under way any more: nothing could tell it from a new one. */
  async loseState(): Promise<void> {
    this.kill()
    while (this.target.underWay > 0) await this.clock.advance(1_000)
    this.#logs++
    this.checks.beginLog()
    this.reloadIsDue = false
    // However it ended, it ended with that log.
    this.life.end = undefined
  }

  /** The index is another one now; a reload that has begun may not have seen it. */
  indexReplaced(): void {
    this.reloadIsDue = true
    this.#reloads = false
  }

  /** Lets the clock run, and looks at everything. */
  async pass(durationMs: number): Promise<void> {
    await this.clock.advance(durationMs)
    await this.checks.lookAtIndex()
  }

  get stateDirectory(): string {
    return `/state/${this.#logs}`
  }

  /** Another process's view of the log, read from its first to its last frame: throws where there is a hole. */
  async walkLog(): Promise<void> {
    const log = await openEmbeddedLog({
      directory: this.stateDirectory,
      ...this.settings.log,
      disk: this.disk,
      readOnly: true,
      now: () => this.clock.now(),
      sleep: (durationMs, signal) => this.clock.sleep(durationMs, signal),
    })
    for await (const { offset } of log.find('no.table', '[]' as never)) throw new Error(`found ${offset}`)
    await log.close()
  }

  /** Whether the process ended in a way that only a reload mends. Anything unexpected is a violation. */
  #judgeEnd(): boolean {
    const error = this.life.end?.error
    if (error === undefined) return false
    if (!(error instanceof Failure)) {
      this.checks.violations.push(`the process ended by a bug: ${inspect(error)}`)
      return false
    }
    this.tell(`ended: ${explain(error)}`)
    if (['transient', 'full', 'overload', 'target'].includes(error.kind)) return false
    if (error.kind === 'lost' && (this.settings.log.mayLose || this.#isPurged())) return true
    if (this.reloadIsDue && error.remedy?.includes('--reload') === true) return true
    this.checks.violations.push(`the process stopped without need: ${explain(error)}`)
    return true
  }

  #isPurged(): boolean {
    return Number.parseInt(this.checks.position ?? '0', 10) < this.database.purged
  }

  /** The database without any trouble. */
  plainSource(): MemorySource {
    const { database, clock } = this
    return new MemorySource({ database, clock, pieceRows: 100, heartbeatMs: 1_000, suffer: async () => {} })
  }

  #begin(reload: boolean): Life {
    this.tell(reload ? 'a process starts, with --reload' : 'a process starts')
    this.#reloads = reload
    const gate = new Gate(() => this.#linger())
    return new Life({
      settings: this.settings,
      gate,
      clock: this.clock,
      disk: gatedDisk(this.disk, gate),
      source: this.#source(gate),
      index: this.target.admin(gate),
      sinkFor: (state) => this.target.sink(gate, state, (...answer) => this.checks.answered(...answer)),
      stateDirectory: this.stateDirectory,
      store: this.store,
      describe: () => Promise.resolve(this.application.table),
      lineage: `log ${this.#logs}`,
      wishes: { ...noWishes, reload },
      observe: (fact) => this.#observe(fact),
      enriched: (entries, works) => this.checks.enriched(entries, works),
      opened: (log) => this.checks.beginLife(log),
    })
  }

  #observe(fact: Fact): void {
    if (fact.kind === 'load-started' && this.#reloads) this.reloadIsDue = this.#reloads = false
    this.tell(show(fact))
    this.checks.observe(fact)
  }

  #source(gate: Gate): MemorySource {
    return new MemorySource({
      database: this.database,
      clock: gatedClock(this.clock, gate),
      pieceRows: this.settings.pieceRows,
      shows: (change) =>
        this.random.next() < this.settings.shortened ? shorten(change, this.random) : change,
      heartbeatMs: this.settings.heartbeatMs,
      suffer: async (call) => {
        // A chunk takes its time: much can happen between its window's opening and its append.
        // What is lost with a server may have been seen by reads, and not by a stream that is behind.
        if (call !== 'read' || (this.losing?.next() ?? 1) < 0.3)
          await this.#sleep(this.random.below(2 * this.settings.lingerMsMax))
        return await gate.call(() => {
          if (this.random.next() < this.sourceFaults)
            return Promise.reject(new Failure('transient', `${sourceName} does not answer`))
          if (this.random.next() < 0.3) this.database.reveal(this.random.below(this.database.executed + 1))
          return Promise.resolve()
        })
      },
    })
  }

  async #linger(): Promise<void> {
    if (this.random.next() >= this.settings.lingering) return
    await this.#sleep(this.random.below(this.settings.lingerMsMax))
  }

  #sleep(durationMs: number): Promise<void> {
    return this.clock.sleep(durationMs, new AbortController().signal)
  }
}

function show(fact: Fact): string {
  const parts = Object.entries(fact)
    .filter(([name]) => name !== 'kind' && name !== 'group' && name !== 'source')
    .map(([name, value]) => `${name}=${value instanceof Failure ? value.message : String(value)}`)
  return `${fact.kind} ${parts.join(' ')}`
}
