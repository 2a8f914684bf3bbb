import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Report } from './progress.ts'

const execute = promisify(execFile)

export interface CommandOptions {
  readonly workingDirectory?: string
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly timeoutMs?: number
}

/** Runs a program to its end and returns what it printed. Throws with the end of its output when it fails. */
export async function run(
  program: string,
  programArguments: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  try {
    const { stdout } = await execute(program, [...programArguments], {
      cwd: options.workingDirectory,
      env: { ...process.env, ...options.environment },
      timeout: options.timeoutMs ?? 30 * 60_000,
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout
  } catch (cause) {
    throw new Error(`${program} failed: ${outputOf(cause)}`, { cause })
  }
}

/** The full path of a program on PATH, or undefined. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, name)
    if (directory !== '' && (await executable(path))) return path
  }
  return undefined
}

/**
 * Makes sure that a program is there: installs its Debian package when this process is root and apt-get exists, and
 * says clearly what is missing otherwise.
 */
export async function needProgram(name: string, debianPackage: string, report: Report): Promise<void> {
  if ((await findProgram(name)) !== undefined) return
  const mayInstall = process.getuid?.() === 0 && (await findProgram('apt-get')) !== undefined
  if (!mayInstall) {
    throw new Error(
      `"${name}" is needed and was not found on PATH; install it (on Debian: apt-get install ${debianPackage})`,
    )
  }
  report({ server: name, doing: `installing the package ${debianPackage} with apt-get` })
  const environment = { DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '-qq', '--no-install-recommends', debianPackage]
  try {
    await run('apt-get', install, { environment })
  } catch {
    // The usual reason in a fresh container is that its package lists were never fetched.
    await run('apt-get', ['update', '-qq'], { environment })
    await run('apt-get', install, { environment })
  }
}

async function executable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function outputOf(failure: unknown): string {
  const { stderr, stdout, message } = failure as { stderr?: string; stdout?: string; message?: string }
  const printed = `${stdout ?? ''}${stderr ?? ''}`.trim()
  return printed === '' ? (message ?? 'no output') : printed.split('\n').slice(-12).join('\n')
}
