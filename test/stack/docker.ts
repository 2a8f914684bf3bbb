import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, run } from './command.ts'
import { freePort } from './ports.ts'
import type { Blueprint } from './server.ts'
import type { Report } from './progress.ts'

/** A server from an image instead of a process; everything else about it stays the same. */
export interface Container {
  /** The server's name in messages, such as `mysql@9.7`. */
  readonly server: string
  readonly version: string
  readonly image: string
  /** The port it listens on inside. */
  readonly innerPort: number
  /** The folder inside that holds its data. */
  readonly innerData: string
  readonly environment: Readonly<Record<string, string>>
  readonly programArguments: readonly string[]
  readonly ready: (port: number) => Promise<boolean>
}

/** Throws, with what to do, where no Docker answers. */
export async function needDocker(): Promise<void> {
  if ((await findProgram('docker')) === undefined) {
    throw new Error(
      '--docker was asked for, and "docker" was not found on PATH; without --docker no Docker is needed',
    )
  }
  try {
    await run('docker', ['info'], { timeoutMs: 20_000 })
  } catch (cause) {
    throw new Error('--docker was asked for, and Docker does not answer "docker info"', { cause })
  }
}

/**
 * A blueprint that runs the image in the foreground: Docker's client passes SIGTERM on to the container, and its exit is
 * the container's. The data is in a volume, so that a restart finds it.
 */
export async function containerBlueprint(
  container: Container,
  runDirectory: string,
  report: Report,
): Promise<Blueprint> {
  const port = await freePort()
  const name = `millrace-${container.server.replace('@', '-')}-${port}`
  const directory = join(runDirectory, name)
  await mkdir(directory, { recursive: true })
  report({
    server: container.server,
    doing: `from the image ${container.image}, which Docker may fetch first`,
  })
  await run('docker', ['pull', '-q', container.image])
  const removeContainer = `docker rm -f ${name} >/dev/null 2>&1`
  const variables = Object.entries(container.environment).flatMap(([key, value]) => ['-e', `${key}=${value}`])
  const published = `127.0.0.1:${port}:${container.innerPort}`
  const dockerRun = ['docker', 'run', '--rm', '--name', name, '-p', published]
    .concat('-v', `${name}:${container.innerData}`)
    .concat(variables, container.image, container.programArguments)
  return {
    name: container.server,
    version: container.version,
    port,
    directory,
    dataDirectory: join(directory, 'data'),
    logFile: join(directory, 'server.log'),
    launch: {
      command: ['/bin/sh', '-c', `${removeContainer}; exec "$@"`, 'sh', ...dockerRun],
      workingDirectory: directory,
      logFile: join(directory, 'server.log'),
      environment: dockerEnvironment(),
      killCommand: removeContainer,
    },
    ready: () => container.ready(port),
    report,
    destroy: async () => {
      await run('docker', ['kill', name]).catch(() => {})
    },
    dispose: async () => {
      await run('docker', ['rm', '-f', name]).catch(() => {})
      await run('docker', ['volume', 'rm', '-f', name])
    },
  }
}

/** What the Docker client takes from its environment. */
function dockerEnvironment(): Readonly<Record<string, string>> {
  const names = [
    'HOME',
    'DOCKER_HOST',
    'DOCKER_CONTEXT',
    'DOCKER_CONFIG',
    'DOCKER_CERT_PATH',
    'DOCKER_TLS_VERIFY',
  ]
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
