import { readFile, readdir, realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { findProgram, run } from './command.ts'

export interface Jdk {
  readonly home: string
  /** The feature version: 17, 21, 25. */
  readonly feature: number
  /** Whether it has the module jdk.jlink, which a mere runtime lacks. */
  readonly hasJlink: boolean
}

/** What a server asks of a Java, and how that is said to a person. */
export interface JdkWish {
  readonly fits: (jdk: Jdk) => boolean
  readonly words: string
}

/** The oldest Java of this machine that will do. Throws, with what was found, where there is none. */
export async function needJdk(server: string, { fits, words }: JdkWish): Promise<Jdk> {
  const jdks = await findJdks()
  const [oldest] = jdks.filter(fits).toSorted((a, b) => a.feature - b.feature)
  if (oldest !== undefined) return oldest
  const found = jdks.map((jdk) => `${jdk.feature} in ${jdk.home}`).join(', ')
  throw new Error(
    `${server} needs ${words}; found ${found === '' ? 'no Java' : `Java ${found}`}. ` +
      'Install one, or name it in JAVA_HOME',
  )
}

/** Every Java this machine has in the usual places, asked one by one what it is. */
export async function findJdks(): Promise<readonly Jdk[]> {
  const homes = new Set<string>()
  for (const home of await candidateHomes()) {
    const resolved = await realpath(home).catch(() => undefined)
    if (resolved !== undefined) homes.add(resolved)
  }
  const found = await Promise.all([...homes].map((home) => describeJdk(home).catch(() => undefined)))
  return found.filter((jdk) => jdk !== undefined)
}

/** The feature version of a Java version: 17 of `17.0.15`, 8 of `1.8.0_402`, 25 of `25-ea`. */
export function featureVersion(version: string): number | undefined {
  const digits = /^(?:1\.)?(\d+)/.exec(version)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** What a JDK's `release` file says, or undefined where it does not say it all. */
export function parseReleaseFile(text: string): Omit<Jdk, 'home'> | undefined {
  const field = (name: string) => new RegExp(`^${name}="([^"]*)"`, 'm').exec(text)?.[1]
  const feature = featureVersion(field('JAVA_VERSION') ?? '')
  const modules = field('MODULES')
  if (feature === undefined || modules === undefined) return undefined
  return { feature, hasJlink: modules.split(' ').includes('jdk.jlink') }
}

/** What `java --list-modules` prints. */
export function parseModuleList(text: string): Omit<Jdk, 'home'> | undefined {
  const feature = featureVersion(/^java\.base@(\S+)/m.exec(text)?.[1] ?? '')
  return feature === undefined ? undefined : { feature, hasJlink: /^jdk\.jlink@/m.test(text) }
}

async function describeJdk(home: string): Promise<Jdk | undefined> {
  const release = await readFile(join(home, 'release'), 'utf8').catch(() => '')
  const described =
    parseReleaseFile(release) ??
    parseModuleList(await run(join(home, 'bin', 'java'), ['--list-modules'], { timeoutMs: 20_000 }))
  return described === undefined ? undefined : { home, ...described }
}

async function candidateHomes(): Promise<readonly string[]> {
  const homes: string[] = []
  const named = process.env['JAVA_HOME']
  if (named !== undefined && named !== '') homes.push(named)
  const java = await findProgram('java')
  if (java !== undefined) homes.push(dirname(dirname(await realpath(java))))
  const folders = [
    '/usr/lib/jvm',
    '/usr/java',
    '/opt',
    '/opt/java',
    join(homedir(), '.sdkman', 'candidates', 'java'),
    join(homedir(), '.jdks'),
    '/Library/Java/JavaVirtualMachines',
  ]
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      homes.push(join(folder, name), join(folder, name, 'Contents', 'Home'))
    }
  }
  return homes
}
