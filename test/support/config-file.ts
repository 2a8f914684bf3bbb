/** A file beside a daemon's configuration, such as a transform. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DaemonOptions } from './daemon-process.ts'

export function writeConfigFile({ directory }: DaemonOptions, name: string, text: string): void {
  mkdirSync(join(directory, 'config'), { recursive: true })
  writeFileSync(join(directory, 'config', name), `${text}\n`)
}
