/**
 * Whether a group may fill the index that it finds, and what must be done first. The index is the only place that can
 * disagree with the log: its UUID and its mark (pipeline, lineage, epoch) are held against the group's and the log's.
 */
import { Failure } from '../../change/failure.ts'
import type { Control, Group } from '../../log/log.ts'
import type { IndexMark, IndexState } from '../../sink/sink.ts'

/** What a person asked for at this start. */
export interface Wishes {
  /** Read the whole table again, and take the index as it is. */
  readonly reload: boolean
  /** Accept a changed pipeline file without reading the table again. */
  readonly keep: boolean
  /** Take over an index that others filled; what the table lacks is deleted. */
  readonly adopt: boolean
}

export interface BindingQuestion {
  readonly pipeline: string
  /** How a person names it after --reload, --keep and --adopt. */
  readonly label: string
  readonly alias: string
  readonly control: Control
  readonly group: Group | undefined
  readonly index: IndexState | undefined
  readonly fingerprint: string
  /** What differs between the definition that the group was filled by and the file, each a sentence. */
  readonly differences: () => readonly string[]
  readonly wishes: Wishes
  /** `schema.table`, of all whose changes concern the documents. */
  readonly tables: readonly string[]
  /** Whether the pipeline wants a load when it is new. */
  readonly loads: boolean
}

export interface Binding {
  readonly create: boolean
  /** none = go on; fill = load into an empty index; renew = load, then sweep. */
  readonly load: 'none' | 'fill' | 'renew'
  /** The epoch that the log must have at least. */
  readonly epoch: number
}

export function bind(question: BindingQuestion): Binding {
  const { group, index, control, wishes } = question
  if (group !== undefined) refuseChangedGroup(question, group)
  if (index === undefined) return { create: true, load: loadOfNew(question), epoch: control.epoch }
  const epoch = epochFor(question, index)
  if (wishes.reload || wishes.adopt) return { create: false, load: 'renew', epoch }
  if (group === undefined) return { create: false, load: question.loads ? 'renew' : 'none', epoch }
  // What the group wrote while the alias pointed elsewhere may be missing, and what was not captured is.
  const isWhole = !isAstray(group) && !missedBy(group).some((table) => question.tables.includes(table))
  if (group.attributes['uuid'] === index.uuid)
    return { create: false, load: isWhole ? 'none' : 'renew', epoch }
  if (madeByUs(question, index)) return { create: false, load: 'renew', epoch }
  throw otherIndex(question, index)
}

/** Whether the group's documents may have gone elsewhere since its table was last read. */
export function isAstray({ attributes }: Group): boolean {
  return attributes['astray'] === 'yes'
}

/** Tables whose changes were not captured for a while since the group's table was last read: nobody ran its pipeline. */
export function missedBy({ attributes }: Pick<Group, 'attributes'>): readonly string[] {
  return JSON.parse(attributes['missed'] ?? '[]') as string[]
}

/** The group's attributes when it misses these tables, too. */
export function missing(group: Group, tables: readonly string[]): Group['attributes'] {
  return { ...group.attributes, missed: JSON.stringify([...new Set([...missedBy(group), ...tables])]) }
}

/** A group that lost its index may have dead letters of rows that are gone since: renewing settles them. */
function loadOfNew({ group, loads, wishes }: BindingQuestion): Binding['load'] {
  if (group !== undefined) return 'renew'
  return loads || wishes.reload || wishes.adopt ? 'fill' : 'none'
}

/** A crash between making the index and noting its UUID leaves our mark on an index without a document. */
function madeByUs({ pipeline, control }: BindingQuestion, { mark, documents }: IndexState): boolean {
  return documents === 0 && mark?.pipeline === pipeline && mark.lineage === control.lineage
}

function refuseChangedGroup(
  { pipeline, label, fingerprint, wishes, differences }: BindingQuestion,
  group: Group,
): void {
  if (wishes.reload) return
  if (group.lost) throw lostGroup(label, group.name)
  if (group.attributes['fingerprint'] === fingerprint || wishes.keep) return
  throw new Failure(
    'configuration',
    `the pipeline file of ${pipeline} changed: ${differences().join('; ')}`,
    {
      remedy: `run with --reload ${label} to build every document anew, or with --keep ${label} to leave those that are there`,
    },
  )
}

export function lostGroup(label: string, group: string): Failure {
  return new Failure('lost', `the log dropped changes that ${group} had not delivered`, {
    remedy: `run with --reload ${label}: it reads the whole table again`,
  })
}

/** The epoch in which this log may write to an index that exists. */
function epochFor(question: BindingQuestion, index: IndexState): number {
  const { control, group, wishes, pipeline } = question
  const { mark } = index
  if (mark === undefined) return unmarked(question, index)
  if (mark.lineage === control.lineage && mark.pipeline === pipeline) return control.epoch
  if (wishes.adopt) return Math.max(control.epoch, mark.epoch + 1)
  if (mark.pipeline !== pipeline)
    throw otherOwner(question, index, `the pipeline ${mark.pipeline} of millrace`)
  if (group !== undefined || control.epoch <= mark.epoch)
    throw otherOwner(question, index, 'another millrace')
  return control.epoch
}

function unmarked({ group, control, wishes, label, alias }: BindingQuestion, index: IndexState): number {
  if (group !== undefined || wishes.adopt || index.documents === 0) return control.epoch
  throw new Failure(
    'conflict',
    `the index ${index.name} (${alias}) holds ${index.documents} documents that millrace did not write`,
    {
      remedy: `name another index; or run with --adopt ${label}: it overwrites them and deletes those that the table lacks`,
    },
  )
}

function otherOwner({ label, alias }: BindingQuestion, index: IndexState, owner: string): Failure {
  return new Failure('conflict', `the index ${index.name} (${alias}) is filled by ${owner}`, {
    remedy: `stop that one, then run with --adopt ${label} to take the index over`,
  })
}

function otherIndex({ label, alias }: BindingQuestion, index: IndexState): Failure {
  return new Failure(
    'conflict',
    `the index behind ${alias} is now ${index.name} (${index.uuid}): it was restored or replaced`,
    {
      remedy: `run with --reload ${label}: it reads the whole table again and deletes what the table lacks`,
    },
  )
}

export function markOf(pipeline: string, control: Control): IndexMark {
  return { pipeline, lineage: control.lineage, epoch: control.epoch }
}

/** Whether the index still is the one that the group fills, under our mark. Throws where it is not. */
export function assertBound(question: {
  /** How a person names the pipeline after --reload and --adopt. */
  readonly label: string
  readonly alias: string
  readonly uuid: string
  readonly lineage: string
  readonly index: IndexState | undefined
}): void {
  const { label, alias, uuid, lineage, index } = question
  if (index === undefined) throw new Failure('transient', `the index behind ${alias} is gone`)
  if (index.uuid !== uuid) {
    throw new Failure(
      'conflict',
      `the index behind ${alias} is now ${index.name} (${index.uuid}): it was restored or replaced`,
      {
        remedy: `run with --reload ${label}: it reads the whole table again and deletes what the table lacks`,
      },
    )
  }
  if (index.lacksTemplate === true)
    throw new Failure('transient', `the template for new indexes of ${alias} is gone: a start puts it again`)
  if (index.mark !== undefined && index.mark.lineage !== lineage) {
    throw new Failure('conflict', `the index ${index.name} (${alias}) was taken over by another millrace`, {
      remedy: `stop one of the two; run with --adopt ${label} to take the index back`,
    })
  }
}
