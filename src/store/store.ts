/** Small state that is neither progress nor documents: runs, tasks, limits, audit. */

export interface Stored {
  readonly name: string
  /** JSON text. */
  readonly value: string
  /** 1 for the first value, one more with each. */
  readonly revision: number
}

export interface Store {
  get(name: string): Promise<Stored | undefined>
  /** Compare and set: written only if the revision is the expected one (0 = must not exist); undefined = someone was first. */
  put(name: string, value: string, expectedRevision: number): Promise<Stored | undefined>
  /** By name, ascending, those that begin with `prefix` and come after `after`. */
  list(prefix: string, after: string | undefined, limit: number): Promise<readonly Stored[]>
  /** Streams only grow; the answer is the record's number in its stream, from 1. */
  append(stream: string, record: string): Promise<number>
  /** The newest records of a stream, newest first. */
  newest(
    stream: string,
    limit: number,
  ): Promise<readonly { readonly number: number; readonly record: string }[]>
  close(): Promise<void>
}
