import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { watchGrowth } from './cache.ts'
import { needProgram, run } from './command.ts'
import type { Report } from './progress.ts'

export interface Artifact {
  readonly server: string
  readonly group: string
  readonly name: string
  readonly version: string
  readonly packaging: 'jar' | 'zip'
  readonly bytesExpected: number
}

const dependencyPlugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1'

/** Fetches one file with Maven, by the machine's own Maven settings, into a folder of its own. Returns its path. */
export async function fetchArtifact(artifact: Artifact, directory: string, report: Report): Promise<string> {
  await needProgram('mvn', 'maven', report)
  const { server, group, name, version, packaging, bytesExpected } = artifact
  const repository = join(directory, 'repository')
  const work = run('mvn', [
    '-q',
    '-B',
    `${dependencyPlugin}:get`,
    '-Dtransitive=false',
    `-Dmaven.repo.local=${repository}`,
    `-Dartifact=${group}:${name}:${version}:${packaging}`,
  ])
  await watchGrowth(repository, report, { server, doing: `downloading ${name}`, bytesExpected }, work)
  const folder = join(repository, ...group.split('.'), name, version)
  const file = (await readdir(folder)).find((entry) => entry.endsWith(`.${packaging}`))
  if (file === undefined)
    throw new Error(`Maven fetched ${name} ${version}, but there is no ${packaging} file of it`)
  return join(folder, file)
}

export interface Coordinates {
  readonly group: string
  readonly name: string
  readonly version: string
}

export interface Dependencies {
  readonly server: string
  readonly artifacts: readonly Coordinates[]
  readonly bytesExpected: number
}

/** Fetches jars with Maven, and all that they need to run, into one folder. */
export async function fetchDependencies(
  { server, artifacts, bytesExpected }: Dependencies,
  folders: { readonly scratch: string; readonly into: string },
  report: Report,
): Promise<void> {
  await needProgram('mvn', 'maven', report)
  await writeFile(join(folders.scratch, 'pom.xml'), projectOf(artifacts))
  const repository = join(folders.scratch, 'repository')
  const words = ['-q', '-B', `${dependencyPlugin}:copy-dependencies`, '-DincludeScope=runtime']
  const places = [`-Dmaven.repo.local=${repository}`, `-DoutputDirectory=${folders.into}`]
  const work = run('mvn', [...words, ...places], { workingDirectory: folders.scratch })
  await watchGrowth(repository, report, { server, doing: 'downloading its jars', bytesExpected }, work)
}

function projectOf(artifacts: readonly Coordinates[]): string {
  const dependencies = artifacts.map(
    ({ group, name, version }) =>
      `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`,
  )
  return [
    '<project><modelVersion>4.0.0</modelVersion>',
    '<groupId>millrace</groupId><artifactId>stack</artifactId><version>1</version>',
    '<dependencies>',
    ...dependencies,
    '</dependencies></project>',
  ].join('\n')
}

/** Unpacks the entries of a zip or jar file that match a pattern. */
export async function unzip(
  archive: string,
  pattern: string,
  directory: string,
  report: Report,
): Promise<void> {
  await needProgram('unzip', 'unzip', report)
  await run('unzip', ['-q', '-o', archive, pattern, '-d', directory])
}
