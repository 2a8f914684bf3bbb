/** What commands need of the rest of the program; compose.ts makes it from a configuration. */
import type { Key, Table } from '../change/change.ts'
import type { Configuration } from '../config/load.ts'
import type { Pipeline } from '../config/pipeline.ts'
import type { Letter, LetterChoice, LetterKind, Status } from '../control/operations.ts'
import type { LogAdmin } from '../log/log.ts'
import type { Finding, Source, SourceAdmin } from '../source/source.ts'

export type Compose = (configuration: Configuration) => Parts

export interface RunOptions {
  /** Pipelines whose table is read again from the first row. */
  readonly reload: readonly string[]
  /** Pipelines whose changed file is accepted for what comes, without reading the table again. */
  readonly keep: readonly string[]
  /** Pipelines that may take over an index that millrace did not fill. */
  readonly adopt: readonly string[]
}

export type OpenSource = SourceAdmin & Pick<Source, 'head' | 'chunk'>

export interface VerifyProgress {
  readonly rows: number
  readonly documents: number
}

interface ReplayPreviewRequest {
  /** As millrace replay takes them. */
  readonly addressee: string
  readonly from: string
  readonly to?: string
  /** Of these alone, as people write keys; those that are none of the table are a Failure. */
  readonly only?: readonly string[]
}

export interface ReplayPreview {
  readonly from: number
  readonly to: number
  readonly records: number
  /** Statements in the stretch that removed or changed rows without naming them. */
  readonly barriers: readonly string[]
}

export interface LogSwitchRequest {
  readonly source: string
  readonly to: 'embedded' | 'kafka'
  /** Everything that is kept is copied, not only what was not delivered. */
  readonly history: boolean
}

export interface LogSwitchPlan {
  readonly source: string
  readonly from: string
  readonly to: string
  /** There is nothing to do: `begun` = the source has no log yet; `before` = the switch was made. */
  readonly state: 'ready' | 'unfinished' | 'begun' | 'before'
  readonly seq: number
  /** At most so many. */
  readonly changes: number
  readonly groups: readonly { readonly name: string; readonly undelivered: number }[]
  readonly deadLetters: number
}

export interface LogSwitched {
  readonly source: string
  readonly from: string
  readonly to: string
  /** `finished` = an earlier attempt had come to its last step; `before` = it was made before. */
  readonly outcome: 'moved' | 'finished' | 'before'
  readonly epoch: number
  readonly seq: number
  readonly copied: number
  readonly deadLetters: number
  readonly groups: readonly string[]
  /** Groups of pipelines that are gone, which had lost records. */
  readonly leftBehind: readonly string[]
}

export type Difference =
  | { readonly kind: 'missing'; readonly id: string }
  | { readonly kind: 'orphan'; readonly id: string }
  | { readonly kind: 'different'; readonly id: string; readonly fields: readonly string[] }
  /** What the document should be cannot be told: it could not be made, or not whole. */
  | { readonly kind: 'unmade'; readonly id: string; readonly reason: string }

export interface Plan {
  readonly pipeline: string
  readonly table: string
  /** Rows that were looked at. */
  readonly sampled: number
  readonly rows: number
  readonly documents: number
  /** Bytes of one document, on average. */
  readonly documentBytes: number
  /** Bytes of all documents as text. */
  readonly sourceBytes: number
  /** Bytes that the load takes in the log. */
  readonly logBytes: number
  readonly shards: number
  /** null = the target does not say how many nodes it has. */
  readonly replicas: number | null
  /** How many reads the table is loaded in, and how long one takes. */
  readonly chunks: number
  readonly chunkMs: number
  /** What the load asks of the database, documents included; null = the source cannot tell. */
  readonly queries: number | null
  readonly rowsExamined: number | null
  readonly bytesSent: number | null
  readonly atLeastSeconds: number
}

/** A row that was asked for by its key; texts are JSON. */
export interface PreviewedRow {
  /** PIPELINE@TARGET. */
  readonly group: string
  readonly key: string
  /** undefined = the table has none. */
  readonly row: string | undefined
  readonly operations: readonly PreviewedOperation[]
}

export interface PreviewedOperation {
  readonly op: 'index' | 'delete'
  readonly id: string
  readonly routing?: string
  readonly document?: string
  /** What would be sent, line by line: the call, then what of its body is the operation's; none for what is refused. */
  readonly request: readonly string[]
  /** Why it would be refused, or what it lacks. */
  readonly remark?: string
  /** What the target says of it. */
  readonly target?: string
}

export interface PreviewComparison {
  readonly equal: number
  readonly differences: readonly { readonly id: string; readonly fields: readonly string[] }[]
  /** Ids of documents that only the first file makes, and only the second. */
  readonly removed: readonly string[]
  readonly added: readonly string[]
}

/** JSON text to JSON text; undefined = no document. Throws what the user's function throws. */
export type TransformText = (document: string) => string | undefined

/** Every call throws a Failure, with what mends it, when it cannot do its work. What is opened is closed by the caller. */
export interface Parts {
  /** Resolves when the signal has aborted and everything is drained and closed; throws when nothing is left to run. */
  runDaemon(options: RunOptions, signal: AbortSignal): Promise<void>
  /** By its name in the settings. */
  openSource(name: string): Promise<OpenSource>
  /** A source's log, to read; also while a daemon writes it. Throws a Failure of kind `lost` where there is none yet. */
  openLog(source: string): Promise<LogAdmin>
  /** What a switch of a source's log would do; throws a Failure where it could not be done. */
  planLogSwitch(request: LogSwitchRequest): Promise<LogSwitchPlan>
  /** Lets another log go on from the present one, while no daemon runs. */
  switchLog(
    request: LogSwitchRequest,
    copied: (records: number) => void,
    signal: AbortSignal,
  ): Promise<LogSwitched>
  /** What stands in the way of delivery: the target reached, its version, our rights, the index. Never throws for a bad one. */
  examineTarget(pipeline: Pipeline): Promise<readonly Finding[]>
  /** Whether the columns that join a pipeline's tables can be compared, and have indexes. Never throws for bad ones. */
  examineJoins(pipeline: Pipeline, source: OpenSource): Promise<readonly Finding[]>
  /** The state folder: writable, room on its disk, who holds it. Never throws for a bad one. */
  examineState(): Promise<readonly Finding[]>
  /** From the state folder alone. */
  localStatus(): Promise<Status>
  /** Open dead letters by what they share, from the logs alone. */
  letterKinds(choice: LetterChoice): Promise<readonly LetterKind[]>
  /** At most so many of them, whole, from the logs alone. */
  letters(choice: LetterChoice, limit: number): Promise<readonly Letter[]>
  /** Yields what differs between table and index, returns how much was looked at. */
  verify(
    pipeline: Pipeline,
    progress: (done: VerifyProgress) => void,
    signal: AbortSignal,
  ): AsyncGenerator<Difference, VerifyProgress>
  /** What a first load comes to, by a sample of at most so many rows. */
  plan(pipeline: Pipeline, rowsMax: number, signal: AbortSignal): Promise<Plan>
  /** What the pipeline would make of rows; where `tried`, with what the target thinks of it. */
  preview(
    pipeline: Pipeline,
    request: { readonly keys: readonly string[]; readonly tried: boolean },
    signal: AbortSignal,
  ): Promise<readonly PreviewedRow[]>
  /** The documents of the first rows of the table, as two files would make them. */
  comparePipelines(
    files: { readonly before: Pipeline; readonly after: Pipeline },
    rowsMax: number,
    signal: AbortSignal,
  ): Promise<PreviewComparison>
  /** TypeScript of the documents that the pipelines' transforms get, from the live tables. */
  documentTypes(pipelines: readonly Pipeline[]): Promise<string>
  /** What a pipeline's transform makes of a document; each document itself where it has none. */
  transformOf(pipeline: Pipeline): Promise<TransformText>
  /** The keys that a replay would touch, each once, as the log is now. Returns what it has looked at. */
  previewReplay(
    pipeline: Pipeline,
    request: ReplayPreviewRequest,
    signal: AbortSignal,
  ): AsyncGenerator<Key, ReplayPreview>
  /** The mapping of each field of a new index, by column. */
  proposeMappings(table: Table): Readonly<Record<string, unknown>>
}
