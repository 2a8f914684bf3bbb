/** Everything that can go wrong in operation. A bug is an ordinary Error and ends the process; a Failure is decided upon. */
import type { Position } from './change.ts'

export type FailureKind =
  /** The other side did not answer, or answered that it is worth trying again. */
  | 'transient'
  /** The other side is too busy. */
  | 'overload'
  /** One document can never be written as it is. */
  | 'rejected'
  /** The target cannot take writes at all: index missing, read-only, red. */
  | 'target'
  /** Credentials or grants. */
  | 'unauthorised'
  /** What the user wrote cannot be carried out. */
  | 'configuration'
  /** The source shows something that this version cannot decode. */
  | 'unsupported'
  /** Bytes that break their own checksum or format. */
  | 'corrupt'
  /** No room on a disk. */
  | 'full'
  /** The place to go on from no longer exists. */
  | 'lost'
  /** Someone else owns what we are about to write. */
  | 'conflict'

export interface FailureDetail {
  /** What a person does to mend it: a sentence or a statement. */
  readonly remedy?: string
  /** So long the other side asked us to stay away. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

export class Failure extends Error {
  readonly kind: FailureKind
  readonly remedy: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(kind: FailureKind, message: string, detail: FailureDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.name = 'Failure'
    this.kind = kind
    this.remedy = detail.remedy
    this.retryAfterMs = detail.retryAfterMs
  }
}

/**
 * The source lacks changes that were given before, or has others in their place, as after the loss of a server: what came
 * of them must be undone. Not a person's matter: whoever keeps the log goes on at `resume`, and reads the rows again.
 */
export class Divergence extends Failure {
  /** The last place that both have, or the source's present where that cannot be told. */
  readonly resume: Position
  /** What was given and is not there any more, in the source's own words. */
  readonly undone: string
  /** Whether anything given up to a position, parts of transactions included, is undone; undefined = it cannot be told. */
  readonly undoes: ((position: Position) => boolean) | undefined

  constructor(
    message: string,
    { resume, undone, undoes }: Pick<Divergence, 'resume' | 'undone'> & Partial<Pick<Divergence, 'undoes'>>,
  ) {
    super('lost', message)
    this.name = 'Divergence'
    this.resume = resume
    this.undone = undone
    this.undoes = undoes
  }
}

/** The message with its remedy, for people. */
export function explain(error: unknown): string {
  if (error instanceof Failure && error.remedy !== undefined)
    return `${error.message}\n  remedy: ${error.remedy}`
  return messageOf(error)
}

/** What was thrown, in its own words, whatever it is. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
