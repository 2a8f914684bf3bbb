/** The control server of a daemon, and where others find it. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Configuration } from './config/load.ts'
import type { Operations } from './control/operations.ts'
import { startControl } from './control/server.ts'

/** With a note in the state folder of where it listens. */
export async function openControl(
  { settings, redact }: Configuration,
  operations: Operations,
): Promise<{ readonly close: () => Promise<void> }> {
  const control = await startControl({ ...settings.control, operations, redact })
  const addressFile = join(settings.state, 'control.json')
  await writeFile(addressFile, JSON.stringify({ host: control.host, port: control.port, pid: process.pid }))
  return {
    close: async () => {
      await rm(addressFile, { force: true })
      await control.close()
    },
  }
}
