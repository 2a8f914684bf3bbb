/** One command of the command line as a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface CommandResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const program = fileURLToPath(new URL('../../bin/millrace', import.meta.url))

/** Runs `millrace WORDS` to its end, or kills it (SIGKILL) after so long. */
export async function millrace(
  words: readonly string[],
  workingDirectory: string,
  environment: Readonly<Record<string, string>> = {},
  killAfterMs = 180_000,
): Promise<CommandResult> {
  const child = spawn(process.execPath, [program, ...words], {
    cwd: workingDirectory,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: killAfterMs,
    killSignal: 'SIGKILL',
  })
  const [out, err]: string[][] = [[], []]
  child.stdout.setEncoding('utf8').on('data', (piece: string) => out?.push(piece))
  child.stderr.setEncoding('utf8').on('data', (piece: string) => err?.push(piece))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out: out?.join('') ?? '', err: err?.join('') ?? '' }
}
