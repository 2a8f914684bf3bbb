/**
 * Moves a source's log: another one, kept elsewhere, goes on from it under the same lineage and numbers, so that no index
 * notices.
 *
 *   1  records that some group still needs are copied under their versions, then dead letters, then groups   to: filling
 *   2  the log is left for good                                             from: left
 *   3  the other one is the current one                                     to: -
 *
 * Between two of these a crash leaves at most one log that is current; the move is then made again and goes on. A key is in
 * another lane there, so a group goes on from the first record that one of its lanes lacks.
 */
import type { Offset } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import {
  assertCurrent,
  type Control,
  type DeadLetter,
  type Group,
  type Log,
  type Moved,
} from '../../log/log.ts'
import { withLoadsUntil } from '../capture/load-state.ts'
import { LogCopy } from './log-copy.ts'

export interface LogMoveParts {
  readonly from: Log
  readonly to: Log
  /** How each is kept, in the settings' words. */
  readonly kinds: { readonly from: string; readonly to: string }
  /** Everything that is kept is copied, not only what somebody needs. */
  readonly history: boolean
  /** Whether a group that lost records may be left behind: nobody will read it any more. */
  readonly isOrphan: (group: string) => boolean
  /** The offset of a record in the other log, by its number; only asked where that one has records already. */
  readonly offsetOf: (seq: number) => Offset
  readonly copied: (records: number) => void
}

export interface LogMoved {
  /** `finished` = an earlier one had come to its last step; `before` = it was made before. */
  readonly outcome: 'moved' | 'finished' | 'before'
  readonly lineage: string
  readonly epoch: number
  readonly seq: number
  readonly copied: number
  readonly deadLetters: number
  readonly groups: readonly string[]
  /** Groups of pipelines that are gone, which had lost records. */
  readonly leftBehind: readonly string[]
}

/** Both logs are this process's to write. Throws a Failure, before anything is left, where they do not fit. */
export async function moveLog(parts: LogMoveParts, signal: AbortSignal): Promise<LogMoved> {
  const control = await parts.from.tail()
  if (control === undefined) {
    throw new Failure('lost', `there is no log in ${parts.kinds.from}: nothing to move`, {
      remedy: 'set log.kind as you like and run: a log begins where it is wanted',
    })
  }
  const found = await parts.to.tail()
  if (control.moved?.state === 'left') return await finish(parts, control, found)
  assertCurrent(control)
  if (found !== undefined) assertOlder(parts, control, found)
  const groups = await whole(parts)
  const { places, copied } = await copyRecords(parts, groups.kept, { control, found, signal })
  const deadLetters = await copyLetters(parts, signal)
  await copyGroups(parts, groups.kept, places)
  signal.throwIfAborted()
  await mark(parts.from, { ...control, moved: { state: 'left', ...parts.kinds } })
  await makeCurrent(parts.to)
  const { lineage, epoch, seq } = control
  const names = groups.kept.map(({ name }) => name)
  const told = { lineage, epoch, seq, copied, deadLetters, groups: names, leftBehind: groups.leftBehind }
  return { outcome: 'moved', ...told }
}

/** The last step of a move, or nothing where it was done. */
async function finish(parts: LogMoveParts, control: Control, found: Control | undefined): Promise<LogMoved> {
  const { from, to } = parts.kinds
  if (found?.lineage !== control.lineage || found.moved?.state === 'left')
    throw new Failure(
      'conflict',
      `the log in ${from} was left, and that in ${to} is not the one that goes on`,
    )
  if (found.moved !== undefined) await makeCurrent(parts.to)
  const { lineage, epoch, seq } = found
  const told = { lineage, epoch, seq, copied: 0, deadLetters: 0, groups: [], leftBehind: [] }
  return { outcome: found.moved === undefined ? 'before' : 'finished', ...told }
}

/** The other log may hold what was begun of this move, or what was left when the log came from there. */
function assertOlder({ kinds: { from, to } }: LogMoveParts, control: Control, found: Control): void {
  const isOurs = found.lineage === control.lineage
  if (isOurs && found.moved !== undefined && found.seq <= control.seq) return
  const why = isOurs
    ? 'it is current too, or further on: one of the two is a copy'
    : 'it is of another lineage, and is not the past of this one'
  throw new Failure('conflict', `there is a log in ${to} already, and ${why}`, {
    remedy: `keep the one that you want: move the other one away, be it in ${from} or in ${to}`,
  })
}

async function whole({ from, isOrphan }: LogMoveParts): Promise<{ kept: Group[]; leftBehind: string[] }> {
  const groups = await from.groups()
  const lost = groups.filter((group) => group.lost).map(({ name }) => name)
  const needed = lost.filter((name) => !isOrphan(name))
  if (needed.length > 0)
    throw new Failure('lost', `the log dropped changes that ${needed.join(', ')} had not delivered`, {
      remedy: 'read those tables again before the log is moved: millrace run --reload PIPELINE',
    })
  return { kept: groups.filter((group) => !group.lost), leftBehind: lost }
}

interface Around {
  readonly control: Control
  readonly found: Control | undefined
  readonly signal: AbortSignal
}

type Places = (place: Offset) => Offset

async function copyRecords(
  parts: LogMoveParts,
  groups: readonly Group[],
  { control, found, signal }: Around,
): Promise<{ readonly places: Places; readonly copied: number }> {
  const { from, to, kinds } = parts
  const filling: Control = { ...control, moved: { state: 'filling', ...kinds } }
  const { oldest, next } = await from.retention()
  const places = groups.map(placeOf)
  const needed = Math.min(next, ...places)
  const copy = new LogCopy({
    ...parts,
    control: filling,
    hasSeq: found?.seq ?? 0,
    places,
  })
  // Where the other log has records already, none may be missing between those and what follows.
  const begin = parts.history || found !== undefined ? Math.min(oldest, needed) : needed
  for await (const stretch of from.range(begin, next)) {
    signal.throwIfAborted()
    await copy.take(stretch)
    if (found !== undefined) assertFollows(parts, found, { oldest, firstSeq: copy.firstSeq })
  }
  const end = async (): Promise<Offset> => {
    const last = await mark(to, filling)
    await mark(to, { ...filling, producers: withLoadsUntil(filling.producers, last) })
    return last
  }
  return { places: await copy.finish(end), copied: copy.copied }
}

/** Where the first of its lanes is. */
function placeOf({ lanes }: Group): Offset {
  return Math.min(...lanes)
}

function assertFollows(
  { kinds: { from, to } }: LogMoveParts,
  found: Control,
  { oldest, firstSeq }: { readonly oldest: Offset; readonly firstSeq: number | undefined },
): void {
  if (oldest === 0 || firstSeq === undefined || firstSeq <= found.seq + 1) return
  throw new Failure(
    'conflict',
    `the log in ${to} ends with number ${found.seq}, and that in ${from} keeps nothing from before ${firstSeq}`,
    { remedy: `what lies between is gone: begin anew in ${to}, under another name, or delete what is there` },
  )
}

const lettersAtOnce = 100

/** What the other log has of them, from an earlier attempt or from before, is not added to but replaced. */
async function copyLetters({ from, to }: LogMoveParts, signal: AbortSignal): Promise<number> {
  let copied = 0
  for (const { name } of await from.groups()) {
    const ids = (await Array.fromAsync(to.deadLetters.list(name))).map(({ id }) => id)
    if (ids.length > 0) await to.deadLetters.settle(name, ids)
    let letters: DeadLetter[] = []
    const put = async (): Promise<void> => {
      if (letters.length > 0) await to.deadLetters.put(name, letters)
      copied += letters.length
      letters = []
    }
    for await (const letter of from.deadLetters.list(name)) {
      signal.throwIfAborted()
      if (letters.push(letter) >= lettersAtOnce) await put()
    }
    await put()
  }
  return copied
}

async function copyGroups({ to }: LogMoveParts, groups: readonly Group[], places: Places): Promise<void> {
  const names = new Set(groups.map(({ name }) => name))
  for (const { name } of await to.groups()) if (!names.has(name)) await to.forget(name)
  for (const group of groups) {
    const { name, tables, attributes } = group
    await to.define({ name, tables, attributes, at: places(placeOf(group)) })
  }
}

async function makeCurrent(log: Log): Promise<void> {
  const control = await log.control()
  if (control === undefined) throw new Error('a log that was filled has a control record')
  const { moved: _filled, ...current } = control
  await mark(log, current)
}

/** Appends nothing but the control record; answers the end of the log. */
async function mark(log: Log, control: Control & { readonly moved?: Moved }): Promise<Offset> {
  return await log.append({
    records: [],
    firstSeq: control.seq + 1,
    addressee: undefined,
    barriers: [],
    control,
  })
}
