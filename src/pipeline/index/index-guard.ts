/** Looks whether the index behind the alias still is the one that a group fills. */
import { Failure } from '../../change/failure.ts'
import type { Group, LogAdmin } from '../../log/log.ts'
import type { IndexAdmin, IndexState } from '../../sink/sink.ts'
import { assertBound, isAstray } from './binding.ts'
import { decide, failureOf } from '../retry-policy.ts'

export interface GuardParts {
  /** How a person names the pipeline after --reload and --adopt. */
  readonly label: string
  readonly alias: string
  readonly log: Pick<LogAdmin, 'define' | 'groups'>
  readonly admin: IndexAdmin
  readonly group: string
  /** undefined = not known yet. */
  readonly lineage: string | undefined
}

/** Throws when the index is no longer the one that this group fills; a target that does not answer is not that. */
export async function guardIndex(parts: GuardParts, { uuid }: IndexState): Promise<void> {
  const { admin, lineage } = parts
  let index: IndexState | undefined
  try {
    index = await admin.inspect()
  } catch (error) {
    if (decide(failureOf(error), 1).kind === 'retry') return
    throw error
  }
  if (index !== undefined && index.uuid !== uuid) await refuseAstray(parts, index)
  if (lineage !== undefined) assertBound({ ...parts, lineage, uuid, index })
}

/**
 * Throws where the alias points elsewhere, while the index that the group fills is still there: somebody moved the alias and
 * may move it back. What was written just before that was noticed may have gone elsewhere, which is noted with the
 * group: when the alias is back, the table is read again.
 */
export async function refuseAstray(parts: GuardParts, found: IndexState): Promise<void> {
  const { label, alias, log, admin } = parts
  const group = (await log.groups()).find(({ name }) => name === parts.group)
  const { uuid, index: filled } = group?.attributes ?? {}
  if (group === undefined || uuid === undefined || filled === undefined || uuid === found.uuid) return
  if ((await admin.uuidOf?.(filled)) !== uuid) return
  if (!isAstray(group)) await log.define({ ...definitionOf(group), attributes: astrayOf(group) })
  throw new Failure('target', `the alias ${alias} points at ${found.name} in place of ${filled}`, {
    remedy: `let it point at ${filled} again, or say: millrace pipelines reload ${label}, which fills the index where it points now`,
  })
}

function astrayOf({ attributes }: Group): Group['attributes'] {
  return { ...attributes, astray: 'yes' }
}

function definitionOf({ name, tables }: Group): Pick<Group, 'name' | 'tables'> {
  return { name, tables }
}
