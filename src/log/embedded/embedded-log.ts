/**
 * The embedded log: a directory that one process writes and any number of processes read.
 *
 *   lock                  held by the writer (../lock.ts)
 *   segments/             the frames (segment.ts, record.ts)
 *   groups/               who reads it and how far (groups.ts, group-file.ts)
 *   dead-letters/         what a target refused for good (dead-letters.ts)
 *   end.json              where the log ended when it was last closed (end.ts)
 *
 * What is not found as it was left is a Failure of kind `corrupt` with the file and the byte.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as timer } from 'node:timers/promises'
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { Control, Group, Log, LogBatch } from '../log.ts'
import { lost } from './cursor.ts'
import { ForeignDeadLetters, OwnDeadLetters } from './dead-letters.ts'
import { diskFailure, nodeDisk, type Disk } from './disk.ts'
import { checkEnd, recordEnd } from './end.ts'
import { ForeignStanding } from './foreign-standing.ts'
import { Groups, oldestPlace } from './groups.ts'
import { OwnStanding } from './own-standing.ts'
import { ReadableLog, refuseToWrite, type ReadableParts } from './readable-log.ts'
import { checkLimits, judgeOldest, type RetentionLimits } from './retention.ts'
import { SegmentFiles } from './segment.ts'
import { Writer } from './writer.ts'

export interface EmbeddedLogOptions extends Partial<RetentionLimits> {
  /** `<state>/log/<source>`; made when it is missing. */
  readonly directory: string
  /** Takes no lock and writes nothing: for a second process while the log is written. */
  readonly readOnly?: boolean
  /** A new segment begins when the last one has reached so many bytes; 64 MiB by default. */
  readonly segmentBytes?: number
  /** Files are read in pieces of so many bytes; 512 KiB by default. */
  readonly chunkBytes?: number
  readonly disk?: Disk
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Rejects when the signal aborts. */
  readonly sleep?: (durationMs: number, signal: AbortSignal) => Promise<void>
}

const mebibyte = 2 ** 20
const compactBytes = mebibyte

/** Throws a Failure of kind `conflict` while another process writes the log, and `corrupt` where it is damaged. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const settings = {
    disk: nodeDisk,
    now: () => Date.now(),
    sleep: (durationMs: number, signal: AbortSignal) => timer(durationMs, undefined, { signal }),
    segmentBytes: 64 * mebibyte,
    chunkBytes: mebibyte / 2,
    retentionBytes: 8192 * mebibyte,
    retentionMs: 7 * 24 * 3600 * 1000,
    ceilingBytes: 32768 * mebibyte,
    ...options,
  }
  checkLimits(settings)
  const files = new SegmentFiles(settings.disk, join(settings.directory, 'segments'), settings.chunkBytes)
  return settings.readOnly === true ? openForeign(settings, files) : openOwn(settings, files)
}

type Settings = Required<Omit<EmbeddedLogOptions, 'readOnly'>>

function openForeign(settings: Settings, files: SegmentFiles): Log {
  const { directory, disk, sleep, chunkBytes, ceilingBytes } = settings
  const deadLetters = new ForeignDeadLetters(disk, join(directory, 'dead-letters'), refuseToWrite)
  const standing = new ForeignStanding({ disk, files, groupsDirectory: join(directory, 'groups'), sleep })
  return new ReadableLog({ files, standing, deadLetters, sleep, chunkBytes, ceilingBytes })
}

async function openOwn(settings: Settings, files: SegmentFiles): Promise<Log> {
  const { directory, disk, sleep, now, chunkBytes, ceilingBytes, segmentBytes } = settings
  const lettersDirectory = join(directory, 'dead-letters')
  const groupsDirectory = join(directory, 'groups')
  const unlock = await prepare(disk, directory, [files.directory, groupsDirectory, lettersDirectory])
  try {
    const groups = new Groups(disk, groupsDirectory)
    await groups.recover()
    const writer = new Writer(files, { segmentBytes, now })
    await writer.recover()
    const last = writer.written.at(-1)
    await checkEnd(disk, directory, { last, next: writer.next, groups: groups.durable() })
    const deadLetters = new OwnDeadLetters(lettersDirectory, { disk, now, compactBytes })
    const standing = new OwnStanding(writer, groups)
    const readable = { files, standing, deadLetters, sleep, chunkBytes, ceilingBytes }
    return new OwnLog(readable, { settings, writer, groups, deadLetters, unlock })
  } catch (error) {
    unlock()
    throw error
  }
}

/** Makes the directories and takes the lock. */
async function prepare(disk: Disk, directory: string, inside: readonly string[]): Promise<() => void> {
  let unlock: (() => void) | undefined
  try {
    for (const each of inside) await disk.makeDirectory(each)
    unlock = await disk.lock(join(directory, 'lock'))
  } catch (error) {
    throw diskFailure(error, `opening the log in ${directory}`)
  }
  if (unlock !== undefined) return unlock
  throw new Failure('conflict', `another process writes the log in ${directory}`, {
    remedy: 'stop the other millrace, or give this one a state directory of its own',
  })
}

interface OwnParts {
  readonly settings: Settings
  readonly writer: Writer
  readonly groups: Groups
  readonly deadLetters: OwnDeadLetters
  readonly unlock: () => void
}

/** The log of the process that holds its lock. */
class OwnLog extends ReadableLog {
  readonly #own: OwnParts
  /** Below this offset segments are about to go: no group may be set there. */
  #floor: Offset = 0
  #dropping: Promise<void> | undefined

  constructor(readable: ReadableParts, own: OwnParts) {
    super(readable)
    this.#own = own
  }

  override append(batch: LogBatch): Promise<Offset> {
    return this.#own.writer.append(batch)
  }

  override tail(): Promise<Control | undefined> {
    return this.#own.writer.tail()
  }

  override async commit(group: string, lane: number, next: Offset): Promise<void> {
    const { writer, groups } = this.#own
    assert(
      writer.control !== undefined && next <= writer.next,
      `${group} commits ${next}, which is not in the log`,
    )
    await groups.commit(group, writer.control.lanes, { lane, next })
  }

  override async untilGroups(fit: (groups: readonly Group[]) => boolean, signal: AbortSignal): Promise<void> {
    const { moved } = this.#own.groups
    for (let seen = moved.count; !fit(await this.groups());) seen = await moved.next(seen, signal)
    signal.throwIfAborted()
  }

  /** A new group without `at` begins with the oldest record that is kept. */
  override async define(group: {
    readonly name: string
    readonly tables: readonly string[]
    readonly at?: Offset
    readonly attributes: Readonly<Record<string, string>>
  }): Promise<void> {
    const { name, tables, attributes, at } = group
    const { groups, writer } = this.#own
    const before = groups.current(name)
    const oldest = Math.max(this.#floor, writer.written[0]?.first ?? 0)
    if (at === undefined && before !== undefined) return groups.define({ ...before, tables, attributes })
    const start = at ?? oldest
    assert(start <= writer.next, `${name} begins with ${start}, which is not in the log`)
    if (start < oldest) throw lost(`${name} cannot begin with ${start}: the log begins with ${oldest}`)
    return groups.define({ name, tables, start, lanes: [], attributes, lost: false })
  }

  override forget(group: string): Promise<void> {
    return this.#own.groups.forget(group)
  }

  override drop(): Promise<void> {
    this.#dropping ??= this.#drop().finally(() => {
      this.#dropping = undefined
    })
    return this.#dropping
  }

  override async close(): Promise<void> {
    const { settings, writer, groups, deadLetters, unlock } = this.#own
    try {
      await this.#dropping?.catch(() => {})
      await writer.close()
      await groups.close()
      await deadLetters.close()
      await recordEnd(settings.disk, settings.directory, writer.written.at(-1))
    } finally {
      unlock()
    }
  }

  async #drop(): Promise<void> {
    const { settings, writer, groups } = this.#own
    for (;;) {
      const lanes = writer.control?.lanes
      const kept = groups.durable().filter((group) => !group.lost)
      const delivered = Math.min(...kept.map((group) => oldestPlace(group, lanes)))
      const verdict = judgeOldest(writer.written, settings, { delivered, nowMs: settings.now() })
      if (verdict === 'stays') return
      await this.#dropOldest(lanes)
    }
  }

  async #dropOldest(lanes: number | undefined): Promise<void> {
    const { writer, groups } = this.#own
    const before = this.#floor
    this.#floor = writer.written[1]?.first ?? before
    try {
      for (const group of groups.durable())
        if (!group.lost && oldestPlace(group, lanes) < this.#floor) await groups.markLost(group.name)
      await writer.unlinkOldest()
    } catch (error) {
      this.#floor = before
      throw error
    }
  }
}
