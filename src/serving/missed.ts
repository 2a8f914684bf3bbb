/** What is captured passes by the groups of pipelines that were taken away, unless others want all that they want. */
import type { RunOptions } from '../cli/parts.ts'
import { unusedColumns } from '../config/fingerprint.ts'
import { groupOf, isMeant, type Pipeline } from '../config/pipeline.ts'
import type { Group } from '../log/log.ts'
import type { Source } from '../source/source.ts'

export interface Capturing {
  readonly pipelines: readonly Pipeline[]
  /** By table that is captured, the columns that are left out. */
  readonly leftOut: Readonly<Record<string, readonly string[]>>
  readonly source: Pick<Source, 'streamOnly'>
}

/** The tables of a group that are not captured whole. */
export function missesOf(
  { pipelines, leftOut, source }: Capturing,
  { keep, reload }: Pick<RunOptions, 'keep' | 'reload'>,
): (group: Group) => readonly string[] {
  // A person has decided what becomes of the documents that these had.
  const decided = new Set(pipelines.filter((each) => isMeant(each, [...keep, ...reload])).map(groupOf))
  return ({ name, attributes: { fingerprint } }) => {
    // A stream that is the load as well is read from its beginning when its table is back.
    if (fingerprint === undefined || source.streamOnly !== undefined || decided.has(name)) return []
    const wanted = Object.entries(unusedColumns(fingerprint))
    const missed = wanted.filter(
      ([table, unused]) => leftOut[table]?.every((column) => unused.includes(column)) !== true,
    )
    return missed.map(([table]) => table)
  }
}
