/**
 * The differences between two JSON documents, as binlog_row_value_options = PARTIAL_JSON writes them:
 *
 *   difference = operation (1) · length, path · length, value (binary JSON; not of a removal)
 *
 * They are applied to the binary form, one after the other, so that every number, date and key stays exactly what the
 * server wrote: only the containers along a path are written anew.
 */
import { Failure } from '../../../change/failure.ts'
import { bytesOf, textOf } from '../../../change/row.ts'
import {
  closeContainer,
  keyOrder,
  openContainer,
  readDocument,
  writeDocument,
  type Container,
  type JsonValue,
} from './json-container.ts'
import { WireReader } from './wire-reader.ts'

/** The document after the differences. Throws a Failure, `corrupt`, when they break their format or do not fit. */
export function applyJsonDiffs(document: Buffer, diffs: Buffer): Buffer {
  const reader = new WireReader(diffs, 0, diffs.length, 'a JSON diff')
  let value = readDocument(document)
  while (reader.left > 0) {
    const operation = reader.integer(1)
    const path = parsePath(reader.bytes(reader.packed()).toString('latin1'))
    const operand = operation === REMOVE ? undefined : readDocument(reader.bytes(reader.packed()))
    value = changed(value, path, { operation, operand })
  }
  return writeDocument(value)
}

const REPLACE = 0
const INSERT = 1
const REMOVE = 2

interface Edit {
  readonly operation: number
  readonly operand: JsonValue | undefined
}

/** A member of an object (one character per byte), or a cell of an array, counted from its first or its last. */
type Leg = { readonly member: string } | { readonly cell: number; readonly fromLast: boolean }

function changed(value: JsonValue, path: readonly Leg[], edit: Edit): JsonValue {
  const [leg, ...rest] = path
  if (leg === undefined) throw misfit('has no path')
  const container = openContainer(value)
  if (container === undefined) throw misfit('leads into a value that is no container')
  if (rest.length === 0) {
    editContainer(container, leg, edit)
  } else {
    const at = placeOf(container, leg)
    const child = container.values[at]
    if (child === undefined) throw misfit('leads to nothing')
    container.values[at] = changed(child, rest, edit)
  }
  return closeContainer(container)
}

function editContainer(container: Container, leg: Leg, { operation, operand }: Edit): void {
  const { keys, values } = container
  const at = placeOf(container, leg)
  const isThere = at >= 0 && at < values.length
  if (operation === REMOVE && isThere) {
    values.splice(at, 1)
    keys?.splice(at, 1)
  } else if (operation === REPLACE && isThere && operand !== undefined) {
    values[at] = operand
  } else if (operation === INSERT && operand !== undefined) {
    insert(container, leg, operand)
  } else {
    throw misfit(operation > REMOVE ? `has the operation ${operation}` : 'leads to nothing')
  }
}

function insert(container: Container, leg: Leg, operand: JsonValue): void {
  const { keys, values } = container
  if ('cell' in leg && keys === undefined) {
    const at = placeOf(container, leg)
    values.splice(Math.max(0, Math.min(at, values.length)), 0, operand)
    return
  }
  if (!('member' in leg) || keys === undefined || keys.includes(leg.member))
    throw misfit('inserts what cannot be there')
  const after = keys.findIndex((key) => keyOrder(key, leg.member) > 0)
  const at = after === -1 ? keys.length : after
  keys.splice(at, 0, leg.member)
  values.splice(at, 0, operand)
}

/** The place of the leg in the container; outside of it where there is none. */
function placeOf({ keys, values }: Container, leg: Leg): number {
  if ('member' in leg) return keys?.indexOf(leg.member) ?? -1
  if (keys !== undefined) return -1
  return leg.fromLast ? values.length - 1 - leg.cell : leg.cell
}

/** `$.name."quoted name"[3][last-1]` */
const pathForm = /\.("(?:[^"\\]|\\.)*"|[^."[\s]+)|\[(last)?(?:-?(\d+))?\]/sy

function parsePath(path: string): readonly Leg[] {
  const legs: Leg[] = []
  if (!path.startsWith('$')) throw misfit('has no path')
  pathForm.lastIndex = 1
  while (pathForm.lastIndex < path.length) {
    const match = pathForm.exec(path)
    if (match === null) throw misfit('has a path that cannot be read')
    const [, member, last, cell = '0'] = match
    legs.push(
      member === undefined
        ? { cell: Number(cell), fromLast: last !== undefined }
        : { member: memberName(member) },
    )
  }
  return legs
}

function memberName(text: string): string {
  if (!text.startsWith('"')) return text
  try {
    return bytesOf(String(JSON.parse(textOf(text))))
  } catch (cause) {
    throw new Failure('corrupt', 'a JSON diff has a path that cannot be read', { cause })
  }
}

function misfit(what: string): Failure {
  return new Failure('corrupt', `a JSON diff ${what}`)
}
