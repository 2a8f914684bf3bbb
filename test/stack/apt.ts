import { mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { watchGrowth, type Filling } from './cache.ts'
import { findProgram, run } from './command.ts'
import type { Report } from './progress.ts'

/** Programs from Debian packages, unpacked in a private root with every library they need. */
export interface PackageRoot {
  readonly server: string
  /** A Debian suite such as `sid`. */
  readonly suite: string
  readonly packages: readonly string[]
  /** Take what the packages depend on as well, the C library included; otherwise only the named packages. */
  readonly withDependencies: boolean
  readonly bytesExpected: number
}

/**
 * Fills a tree with Debian packages, without installing anything in the system and without root: apt works on lists,
 * caches and a package status of its own, for a suite of its own, at the mirror that the machine's own sources name.
 */
export async function fillFromPackages(root: PackageRoot, filling: Filling, report: Report): Promise<void> {
  for (const program of ['apt-get', 'dpkg', 'tar']) {
    if ((await findProgram(program)) === undefined) {
      throw new Error(
        `${root.server} is taken from Debian packages, and "${program}" was not found; try --docker`,
      )
    }
  }
  const archives = join(filling.scratch, 'archives')
  const environment = { APT_CONFIG: await writePrivateConfiguration(root.suite, filling.scratch, archives) }
  const progress = { server: root.server, bytesExpected: root.bytesExpected }
  report({ server: root.server, doing: `fetching the package lists of Debian ${root.suite}` })
  await run('apt-get', ['update', '-qq'], { environment })
  const download = root.withDependencies
    ? ['install', '-y', '-qq', '--download-only', '--no-install-recommends', ...root.packages]
    : ['download', '-qq', ...root.packages]
  const work = run('apt-get', download, { environment, workingDirectory: archives })
  await watchGrowth(archives, report, { ...progress, doing: 'downloading' }, work)
  report({ server: root.server, doing: 'unpacking' })
  await unpack(archives, filling.tree)
}

/** The Debian suite this machine runs, such as `bookworm`. */
export async function machineSuite(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1]
  if (suite === undefined)
    throw new Error('this machine does not say which Debian suite it runs; try --docker')
  return suite
}

export interface PackageMirror {
  readonly uri: string
  readonly signedBy: string
}

/** The first mirror with the section `main` that apt sources name, in either of their two formats; security aside. */
export function findMirror(sources: string): PackageMirror | undefined {
  for (const stanza of sources.split(/\n\s*\n/)) {
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(stanza)?.[1]
    const uri = field('URIs')
    const main = /^Components:.*\bmain\b/m.test(stanza)
    if (uri !== undefined && main && !uri.includes('security')) {
      return { uri, signedBy: field('Signed-By') ?? debianKeyring }
    }
  }
  for (const [, options = '', uri = ''] of sources.matchAll(/^deb\s+(\[[^\]]*\]\s+)?(\S+)\s.*\bmain\b/gm)) {
    const signedBy = /signed-by=([^\s\]]+)/.exec(options)?.[1] ?? debianKeyring
    if (!uri.includes('security')) return { uri, signedBy }
  }
  return undefined
}

const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

async function writePrivateConfiguration(suite: string, scratch: string, archives: string): Promise<string> {
  const mirror = findMirror(await readMachineSources())
  if (mirror === undefined)
    throw new Error('the apt sources of this machine name no Debian mirror; try --docker')
  const own = join(scratch, 'apt')
  for (const directory of ['lists/partial', 'cache', 'preferences', 'sources']) {
    await mkdir(join(own, directory), { recursive: true })
  }
  await mkdir(join(archives, 'partial'), { recursive: true })
  await writeFile(join(own, 'status'), '')
  await writeFile(
    join(own, 'sources', 'suite.sources'),
    `Types: deb\nURIs: ${mirror.uri}\nSuites: ${suite}\nComponents: main\nSigned-By: ${mirror.signedBy}\n`,
  )
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(own, 'sources'),
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': join(own, 'preferences'),
    'Dir::State': own,
    // An empty status: every library is resolved, so that the root needs nothing of this machine.
    'Dir::State::status': join(own, 'status'),
    'Dir::Cache': join(own, 'cache'),
    'Dir::Cache::archives': archives,
    'Dir::Log': own,
    'APT::Install-Recommends': 'false',
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
    // A mirror's snapshot may be past its date; its signatures are checked nevertheless.
    'Acquire::Check-Valid-Until': 'false',
  }
  const path = join(own, 'apt.conf')
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`)
  await writeFile(path, lines.join(''))
  return path
}

async function readMachineSources(): Promise<string> {
  const folder = '/etc/apt/sources.list.d'
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.(sources|list)$/.test(name))
  const paths = [...names.map((name) => join(folder, name)), '/etc/apt/sources.list']
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8').catch(() => '')))
  return texts.join('\n\n').replaceAll(/^\s*#.*\n?/gm, '')
}

/** Packages that the servers depend on only for their installation. */
const unneeded =
  /^(perl|libperl|debianutils|gcc-|libgdbm|libdb5|libc-gconv|dpkg|tar_|adduser|passwd|debconf|galera|rsync|gawk)/

async function unpack(archives: string, tree: string): Promise<void> {
  // Packages of different ages put files below /lib and below /usr/lib; with these links both become one.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(tree, 'usr', name), { recursive: true })
    await symlink(join('usr', name), join(tree, name))
  }
  for (const name of await readdir(archives)) {
    if (!name.endsWith('.deb') || unneeded.test(basename(name))) continue
    // Not dpkg --extract: it puts a folder in the place of a link.
    const extract = 'dpkg --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"'
    await run('/bin/sh', ['-c', extract, 'sh', join(archives, name), tree])
  }
  for (const name of ['doc', 'man', 'locale', 'lintian']) {
    await rm(join(tree, 'usr', 'share', name), { recursive: true, force: true })
  }
}

/** How to run a program of a private root: by the root's own loader and libraries, without chroot. */
export function commandInRoot(root: string, program: string): readonly string[] {
  const { loader, libraries } = machine()
  return [join(root, loader), '--library-path', join(root, libraries), join(root, program)]
}

function machine(): { readonly loader: string; readonly libraries: string } {
  if (process.platform === 'linux' && process.arch === 'x64') {
    return { loader: 'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', libraries: 'usr/lib/x86_64-linux-gnu' }
  }
  if (process.platform === 'linux' && process.arch === 'arm64') {
    return {
      loader: 'usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1',
      libraries: 'usr/lib/aarch64-linux-gnu',
    }
  }
  throw new Error(`there are no server packages for ${process.platform} on ${process.arch}; try --docker`)
}

/** Where a private root keeps its libraries. */
export function librariesOfRoot(root: string): string {
  return join(root, machine().libraries)
}
