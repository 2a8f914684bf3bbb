/** What a command may touch of the process that it runs in. */
import type { Compose } from './parts.ts'

export interface Context {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  /** What is piped into the command. */
  readonly input: () => AsyncIterable<string | Buffer>
  /** Results: what a pipe gets. */
  readonly out: (line: string) => void
  /** Everything else: progress, warnings, errors. */
  readonly err: (line: string) => void
  /** Replaces the last line of `err` on a terminal; does nothing elsewhere. */
  readonly progress: (line: string) => void
  /** Loaded when a command needs it: most need no driver. */
  readonly compose: () => Promise<Compose>
  /** From now on everything that is printed goes through this. */
  readonly redactWith: (redact: (text: string) => string) => void
  /** Aborts when the person or the system wants an end. */
  readonly signal: AbortSignal
}

/** Exit codes of every command; each command's help says when it gives which. */
export const exit = {
  ok: 0,
  /** The command worked, and what it looked at is not as it should be. */
  bad: 1,
  /** Wrong usage or configuration. */
  usage: 2,
  /** The daemon, the source or the target cannot be reached. */
  unreachable: 3,
} as const

/** A wrong command line: a message, and where to look. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
