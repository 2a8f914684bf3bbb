/**
 * Where the log ended when it was closed: `end.json`. Bytes that are missing since then were not torn by a crash; that the
 * file is older than the log is harmless, because a log only grows at its end.
 */
import { join } from 'node:path'
import type { Offset } from '../../change/change.ts'
import { readWhole, replaceFile, type Disk } from './disk.ts'
import { damaged } from './frames.ts'
import type { GroupState } from './group-file.ts'
import type { WrittenSegment } from './segment.ts'

interface End {
  readonly format: 1
  readonly segment: string
  readonly ordinal: number
  readonly bytes: number
}

export async function recordEnd(
  disk: Disk,
  directory: string,
  last: WrittenSegment | undefined,
): Promise<void> {
  if (last === undefined) return
  const end: End = { format: 1, segment: last.name, ordinal: last.ordinal, bytes: last.bytes }
  await replaceFile(disk, join(directory, 'end.json'), `${JSON.stringify(end)}\n`)
}

/** Throws where the log ends earlier than when it was closed, or than what a group has delivered. */
export async function checkEnd(
  disk: Disk,
  directory: string,
  log: {
    readonly last: WrittenSegment | undefined
    readonly next: Offset
    readonly groups: readonly GroupState[]
  },
): Promise<void> {
  const { path, bytes, ordinal } = log.last ?? { path: join(directory, 'segments'), bytes: 0, ordinal: 0 }
  for (const group of log.groups)
    if (Math.max(group.start, ...group.lanes) > log.next)
      throw damaged(
        path,
        bytes,
        `the log ends with offset ${log.next}, before a place of group ${group.name}`,
      )
  const end = await readEnd(disk, join(directory, 'end.json'))
  if (end === undefined) return
  if (ordinal < end.ordinal || (ordinal === end.ordinal && bytes < end.bytes))
    throw damaged(
      path,
      bytes,
      `the log ends here; when it was closed it had ${end.bytes} bytes of ${end.segment}`,
    )
}

async function readEnd(disk: Disk, path: string): Promise<End | undefined> {
  const bytes = await readWhole(disk, path)
  if (bytes === undefined) return undefined
  try {
    const end: unknown = JSON.parse(bytes.toString('utf8'))
    // Written by recordEnd as a whole or not at all.
    if (typeof end === 'object' && end !== null && 'bytes' in end) return end as End
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw damaged(path, 0, 'the text is not what was written')
}
