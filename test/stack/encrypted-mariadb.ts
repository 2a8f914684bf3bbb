/** What a MariaDB server of the stack needs to encrypt its binlog: the plugin that has the keys, and a key. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fillFromPackages } from './apt.ts'
import { cached } from './cache.ts'
import { suiteOfMariadb } from './mariadb.ts'
import type { Report } from './progress.ts'

/** Arguments of the server; the key is written into `directory`. The plugin is fetched when it is not in the cache yet. */
export async function encryptionArguments(
  version: string,
  directory: string,
  report: Report,
): Promise<readonly string[]> {
  const root = await cached(`mariadb-plugins-${version}`, report, async (filling) => {
    const packages = ['mariadb-server']
    const server = `mariadb@${version}`
    const suite = suiteOfMariadb(version)
    await fillFromPackages(
      { server, suite, packages, withDependencies: false, bytesExpected: 4_000_000 },
      filling,
      report,
    )
  })
  const keyFile = join(directory, `key-${version}`)
  await writeFile(keyFile, `1;${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
  return [
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    '--plugin-load-add=file_key_management',
    '--plugin-maturity=unknown',
    `--file-key-management-filename=${keyFile}`,
    '--encrypt-binlog=ON',
  ]
}
