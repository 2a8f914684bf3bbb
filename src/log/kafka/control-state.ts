/**
 * What the control topic says. It is compacted, has one partition, and holds the latest of each of these keys:
 *
 *   control         the control record, with a number that counts appends
 *   topic/NAME      which topic it is, and the last sequence number in each of its partitions
 *   table/PRINT     a table's definition by its fingerprint
 *   barrier/NUMBER  a statement that changed rows unseen, by the sequence number that it took
 *   group/NAME      a group: its tables, where it began, its attributes
 *
 * Capture writes all but groups in the transaction of the records that they describe; so whoever has read a control
 * record knows how far each partition must be read to have everything before it.
 */
import type { Barrier, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { Control } from '../log.ts'
import type { FetchedRecord } from './fetched-batch.ts'
import { FirstRecords } from './first-records.ts'
import { parseTable } from './schemas.ts'

/** A topic of records, as capture left it. */
export interface TopicState {
  readonly id: string
  /** The last sequence number in each partition; 0 = none. */
  readonly ends: readonly number[]
  /** Older records than this were lost with a topic of the same name; 0 = none were. */
  readonly since: number
}

/** A barrier with its number. */
export interface KnownBarrier {
  readonly seq: number
  readonly epoch: number
  readonly appendedAtMs: number
  readonly barrier: Barrier
}

/** A group as it was defined. */
export interface DefinedGroup {
  readonly name: string
  readonly tables: readonly string[]
  /** Where each lane begins that has committed nothing since. */
  readonly start: number
  /** Drawn anew when the places are set: what was committed before counts no more. */
  readonly generation: string
  readonly attributes: Readonly<Record<string, string>>
}

export const controlKey = 'control'
export const topicKey = (name: string): string => `topic/${name}`
export const tableKey = (fingerprint: string): string => `table/${fingerprint}`
export const barrierKey = (seq: number): string => `barrier/${seq}`
export const groupKey = (name: string): string => `group/${name}`

export class ControlState {
  control: Control | undefined
  /** How many appends there were. */
  appends = 0
  readonly topics = new Map<string, TopicState>()
  readonly tables = new Map<string, Table>()
  readonly groups = new Map<string, DefinedGroup>()
  /** In the order of their numbers. */
  readonly barriers: KnownBarrier[] = []
  /** Of the topics of records. */
  readonly firsts = new FirstRecords()

  /** Takes a record of the topic; false = appends are missing between this control record and the one before. */
  take({ key, value }: FetchedRecord): boolean {
    const name = key.toString('utf8')
    const slash = name.indexOf('/')
    const kind = slash < 0 ? name : name.slice(0, slash)
    const rest = name.slice(slash + 1)
    const text = value?.toString('utf8')
    if (text === undefined) {
      if (kind === 'group') this.groups.delete(rest)
      return true
    }
    switch (kind) {
      case 'control':
        return this.#takeControl(text)
      case 'topic':
        this.topics.set(rest, JSON.parse(text) as TopicState)
        return true
      case 'table':
        this.tables.set(rest, parseTable(text))
        return true
      case 'barrier':
        this.barriers.push(JSON.parse(text) as KnownBarrier)
        return true
      case 'group':
        this.groups.set(rest, JSON.parse(text) as DefinedGroup)
        return true
      default:
        throw unknownKey(name)
    }
  }

  #takeControl(text: string): boolean {
    const { appends, ...control } = JSON.parse(text) as Control & { readonly appends: number }
    const follows = appends === this.appends + 1
    this.control = control
    this.appends = appends
    return follows
  }
}

/** Those of a group's tables with numbers above `from`, in order. */
export function barriersBehind(
  { barriers }: ControlState,
  tables: readonly string[],
  from: number,
): readonly KnownBarrier[] {
  let first = barriers.length
  while ((barriers[first - 1]?.seq ?? 0) > from) first--
  return barriers.slice(first).filter(({ barrier }) => tables.includes(barrier.table))
}

function unknownKey(name: string): Failure {
  return new Failure('unsupported', `the control topic holds "${name}", which this version does not know`, {
    remedy: 'run the version of millrace that wrote it, or a newer one',
  })
}

export function controlText(control: Control, appends: number): string {
  return JSON.stringify({ ...control, appends })
}
