/** A configuration from objects, as if a person had written them into files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { loadConfiguration, type Configuration } from '../../src/config/load.ts'

const servers = {
  sources: { main: { url: 'mysql://u@h/' } },
  targets: { primary: { url: 'http://h:1' } },
  masks: { secret: 'sixteen characters' },
}

/** Throws the Failure that a command would show. */
export function configurationOf(
  t: TestContext,
  pipelines: Readonly<Record<string, object>>,
  settings: object = {},
): Configuration {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-configured-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'config', 'pipelines'), { recursive: true })
  writeFileSync(join(folder, 'config', 'millrace.yaml'), JSON.stringify({ ...servers, ...settings }))
  for (const [name, pipeline] of Object.entries(pipelines))
    writeFileSync(join(folder, 'config', 'pipelines', `${name}.yaml`), JSON.stringify(pipeline))
  return loadConfiguration({ environment: {}, workingDirectory: folder })
}
