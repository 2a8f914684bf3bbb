/** Opens a source's log: the one place that knows how logs are stored. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from './change/failure.ts'
import type { Settings } from './config/schema.ts'
import { openEmbeddedLog } from './log/embedded/embedded-log.ts'
import type { Log } from './log/log.ts'
import { gigabyte, megabyte } from './units.ts'

/** To write. Throws a Failure of kind `conflict` when another process has it. */
export function openLog({ state, log }: Settings, source: string): Promise<Log> {
  return openEmbeddedLog({
    directory: directoryOf(state, source),
    segmentBytes: Math.round(log.segmentMb * megabyte),
    retentionBytes: log.retentionGb * gigabyte,
    retentionMs: log.retentionHours * 3_600_000,
    ceilingBytes: log.ceilingGb * gigabyte,
  })
}

/** To look at, also while another process writes it. Throws a Failure of kind `lost` where there is none yet. */
export async function readLog({ state, log }: Settings, source: string): Promise<Log> {
  const directory = directoryOf(state, source)
  if (!existsSync(directory)) {
    throw new Failure('lost', `the source ${source} has no log in ${state} yet`, {
      remedy: 'millrace run begins it',
    })
  }
  return await openEmbeddedLog({ directory, readOnly: true, ceilingBytes: log.ceilingGb * gigabyte })
}

function directoryOf(state: string, source: string): string {
  return join(state, 'log', source)
}
