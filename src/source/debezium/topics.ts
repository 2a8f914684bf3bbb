/** Topics of brokers, as this source reads them. */

export interface Place {
  readonly topic: string
  readonly partition: number
}

export interface FoundTopic {
  /** Another one where the topic was deleted and made anew. */
  readonly id: string
  /** One entry for each partition. */
  readonly leaders: readonly unknown[]
}

export interface Message {
  readonly offset: bigint
  readonly key: Buffer
  /** null = a tombstone. */
  readonly value: Buffer | null
  readonly appendedAtMs: number
}

export interface FetchedMessages extends Place {
  readonly records: readonly Message[]
  /** Where to go on: behind everything that was looked at. */
  readonly next: bigint
  /** The first offset that is still kept. */
  readonly first: bigint
}

/** Every call throws a Failure that says what is wrong. */
export interface Topics {
  /** Those that are there, by name; `fresh` = as they are now. */
  topics(names: readonly string[], fresh?: boolean): Promise<ReadonlyMap<string, FoundTopic>>
  /** By `TOPIC-PARTITION`: the first offset that is kept, or the one after the last finished message. */
  ends(places: readonly Place[], which: 'first' | 'finished'): Promise<ReadonlyMap<string, bigint>>
  /** Messages of finished transactions from these offsets on; waits for some at most `waitMs`. */
  fetch(
    wanted: readonly (Place & { readonly offset: bigint })[],
    limits: { readonly waitMs: number; readonly bytes: number; readonly partitionBytes: number },
  ): Promise<readonly FetchedMessages[]>
  close(): Promise<void>
}

export function endAt(ends: ReadonlyMap<string, bigint>, { topic, partition }: Place): bigint {
  return ends.get(`${topic}-${partition}`) ?? 0n
}
