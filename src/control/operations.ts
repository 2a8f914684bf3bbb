/** What can be asked of a running daemon. The daemon implements it; CLI and HTTP use it. All plain JSON. */

interface LoadStatus {
  readonly table: string
  readonly state: 'reading' | 'delivering' | 'done'
  readonly rowsDone: number
  readonly rowsEstimate: number
  readonly etaSeconds: number | null
}

export interface PipelineStatus {
  readonly name: string
  readonly source: string
  readonly target: string
  readonly index: string
  readonly table: string
  readonly state:
    | 'starting'
    | 'loading'
    | 'running'
    | 'waiting'
    | 'paused'
    | 'stopped'
    | 'failed'
    | 'orphan'
    | 'offline'
  /** What is wrong and what mends it; null while all is well. */
  readonly error: string | null
  readonly remedy: string | null
  /** Of what is wrong: transient, overload, document, target, authorisation, unknown, operator; null while all is well. */
  readonly category: string | null
  readonly lagChanges: number
  /** Seconds since the commit of the oldest undelivered change; 0 when none is undelivered. */
  readonly lagSeconds: number
  readonly lanes: readonly number[]
  readonly deadLetters: number
  readonly load: LoadStatus | null
  /** Since the daemon started; null when no daemon answered. */
  readonly indexed: number | null
  readonly deleted: number | null
  /** Rows read from the table because a change did not show them. */
  readonly lookedUp: number | null
  /** Fields of new columns that are left out until they are accepted, with the mapping of each as JSON text. */
  readonly proposed: Readonly<Record<string, string>>
}

export interface ServerStatus {
  /** `host:port`. */
  readonly address: string
  /** null = not known. */
  readonly role: 'primary' | 'replica' | null
  /** Being read; could be; lacks what was read; does not answer; cannot be read as it is. */
  readonly state: 'reading' | 'ready' | 'behind' | 'away' | 'unfit'
  readonly detail: string | null
}

export interface SourceStatus {
  readonly name: string
  /** standby: another process may be capturing it. */
  readonly state: 'starting' | 'standby' | 'running' | 'waiting' | 'failed' | 'offline'
  readonly error: string | null
  readonly remedy: string | null
  /** host:process:start of whoever captures it, where several processes may; null = no others may, or nobody does. */
  readonly leader: string | null
  /** What has been captured, in the source's own words. */
  readonly position: string
  readonly lineage: string
  readonly epoch: number
  readonly seq: string
  /** Seconds since anything was heard of the source, heartbeats included; null when no daemon answered. */
  readonly silentSeconds: number | null
  /** The servers that it may be read from, in order; empty when no daemon answered. */
  readonly servers: readonly ServerStatus[]
  /** Seconds until the source may drop what is not captured; null = for ever, or not known. */
  readonly retentionSeconds: number | null
  /** Bytes of the source's stream that are not read yet; null = not known. */
  readonly behindBytes: number | null
  readonly logBytes: number
  readonly logBytesMax: number
  readonly logOldestOffset: number
  readonly logNextOffset: number
}

export interface Status {
  readonly version: string
  /** False when the answer was read from the state folder because no daemon answered. */
  readonly daemon: boolean
  readonly startedAt: string | null
  readonly sources: readonly SourceStatus[]
  readonly pipelines: readonly PipelineStatus[]
  /** What happened lately, the newest first: starts, stops, loads, indexes made, failures. */
  readonly recent: readonly { readonly at: string; readonly what: string }[]
}

export interface TouchRequest {
  /** `orders`: for every target of the pipeline; `orders@main`: for that one. */
  readonly pipeline: string
  /** JSON arrays of the key's values; where a key is one value, also that value alone. */
  readonly keys: readonly string[]
}

export interface TouchAnswer {
  /** Keys that are in the log now; a few more than were asked for where the server spells them otherwise. */
  readonly touched: number
  /** A pipeline whose lanes have all passed this offset has written what they made. */
  readonly until: number
  /** Keys that are none of the table, by their place in the request. If there is one, none was touched. */
  readonly malformed: readonly { readonly at: number; readonly why: string }[]
}

export interface ReplayRequest {
  /** `orders`: for every target of the pipeline; `orders@main`: for that one. */
  readonly pipeline: string
  /** `earliest`, a time with a T (2026-11-22T10:00:00Z), `2h` ago, an offset of the log, or a GTID set. */
  readonly from: string
  /** Default: the log's present end. */
  readonly to?: string
  /** 0 = no limit of its own. */
  readonly keysPerSecond?: number
  /** Of these rows alone, as `touch` takes their keys; at most `replayKeysMax`. */
  readonly keys?: readonly string[]
}

/** They are kept with the replay, so that it goes on with them after a restart. */
export const replayKeysMax = 10_000

export interface ReplayStatus {
  readonly pipeline: string
  readonly table: string
  /** Offsets: the records from the one to before the other name the keys. */
  readonly from: number
  readonly to: number
  readonly phase: 'touching' | 'delivering' | 'done' | 'cancelled' | 'failed'
  /** 0 to 1. */
  readonly share: number
  readonly touched: number
  /** Statements in the stretch that removed or changed rows without naming them. */
  readonly barriers: readonly string[]
  readonly startedAt: string
  readonly endedAt: string | null
  /** Why it failed. */
  readonly failure: string | null
}

/** Which dead letters are meant: all of these that are given; none given = all. */
export interface LetterChoice {
  /** `orders`: at every target of the pipeline; `orders@main`: at that one; not given: of every pipeline. */
  readonly pipeline?: string
  readonly ids?: readonly string[]
  /** As letters show them: JSON arrays. */
  readonly keys?: readonly string[]
  /** A fingerprint, or its short name. */
  readonly fingerprint?: string
}

/** Letters that fail alike. */
export interface LetterKind {
  readonly pipeline: string
  readonly target: string
  /** A short name of the fingerprint. */
  readonly name: string
  readonly fingerprint: string
  readonly count: number
  readonly firstAt: string
  readonly lastAt: string
  /** One of them. */
  readonly exampleId: string
  readonly exampleReason: string
}

export interface Letter {
  readonly pipeline: string
  readonly target: string
  readonly id: string
  readonly table: string
  readonly key: string
  /** Decimal digits. */
  readonly version: string
  readonly op: 'index' | 'delete'
  readonly reason: string
  readonly fingerprint: string
  readonly attempts: number
  readonly firstAt: string
  readonly lastAt: string
  /** JSON text; null for a delete. */
  readonly document: string | null
}

export interface LetterAnswer {
  readonly letters: number
  /** A pipeline whose lanes have all passed this offset has tried them again; 0 where nothing was appended. */
  readonly until: number
}

/** What a person may do with a pipeline that runs. */
export type SteerAction = 'pause' | 'resume' | 'reload'

export interface SteerAnswer {
  /** `PIPELINE@TARGET`, each. */
  readonly groups: readonly string[]
}

/** One of the two names. */
export interface RefreshRequest {
  /** `orders`: every target of the pipeline; `orders@main`: that one. */
  readonly pipeline?: string
  /** Every pipeline that asks this upstream. */
  readonly upstream?: string
  /** At most so many; not given = as fast as other loads. */
  readonly rowsPerSecond?: number
}

export interface RefreshAnswer {
  /** `PIPELINE@TARGET`, each: its documents are being made anew. */
  readonly groups: readonly string[]
  /** Those whose table is being read already: nothing was begun for them. */
  readonly busy: readonly string[]
}

export interface Operations {
  status(): Promise<Status>
  /** Open dead letters by what they share, the most frequent first. */
  letterKinds(choice: LetterChoice): Promise<readonly LetterKind[]>
  /** At most so many of them, whole. */
  letters(choice: LetterChoice, limit: number): Promise<readonly Letter[]>
  /** Has their rows read again and delivered. A letter closes when that is written, and is replaced when it is refused. */
  redriveLetters(choice: LetterChoice): Promise<LetterAnswer>
  /** Forgets them: their documents stay as they are until their rows change. */
  dropLetters(choice: LetterChoice): Promise<LetterAnswer>
  /** `pipeline` as in LetterChoice. A pause outlives the process; a reload and a resume end it. */
  steer(pipeline: string, action: SteerAction): Promise<SteerAnswer>
  /** Has the rows of these keys read again and their documents written, or deleted. Durable when it resolves. */
  touch(request: TouchRequest): Promise<TouchAnswer>
  /** Upstreams know something else: their answers are asked for anew and documents made again, row by row. */
  refresh(request: RefreshRequest): Promise<RefreshAnswer>
  /** Begins to deliver the rows again that a stretch of the log names; goes on by itself, over restarts too. */
  replay(request: ReplayRequest): Promise<ReplayStatus>
  /** The last one of each pipeline. */
  replays(): Promise<readonly ReplayStatus[]>
  /** False = none was under way. */
  cancelReplay(pipeline: string): Promise<boolean>
  /** Prometheus text. */
  metrics(): Promise<string>
  /** Whether the process works at all: its event loop answers. */
  live(): boolean
  /** Whether it is set up and serving; the reasons where it is not. */
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] }
}
