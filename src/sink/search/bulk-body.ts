/** Operations as the lines of bulk requests, written as bytes: a request has thousands of them. */
import { copyBytes, type Writing } from '../../change/bytes.ts'
import type { List } from '../../change/list.ts'
import type { Operation } from '../sink.ts'
import { DecimalDigits } from './decimal-digits.ts'

/** One request: its operations are those from `first` to before `next`. */
export interface BulkPart {
  readonly body: Buffer
  readonly first: number
  readonly next: number
  /** How many of them are deletes. */
  readonly deletes: number
}

/** A buffer of at least so many bytes. */
export type Room = (bytes: number) => Buffer

/** Cuts operations into requests of at most so many bytes, but of at least one operation each, written where there is room. */
export function* bulkParts(
  operations: List<Operation>,
  bytesMax: number,
  room: Room = (bytes) => Buffer.allocUnsafeSlow(bytes),
): Generator<BulkPart> {
  for (let first = 0; first < operations.length;) {
    const part = partOf(operations, first, { bytesMax, room })
    yield part
    first = part.next
  }
}

/** By itself, so that the operations which a list made are forgotten before the request is on its way. */
function partOf(
  operations: List<Operation>,
  first: number,
  { bytesMax, room }: { readonly bytesMax: number; readonly room: Room },
): BulkPart {
  const chosen: Operation[] = []
  let bytes = 0
  let deletes = 0
  for (let operation = operations.at(first); operation !== undefined;) {
    const added = bytesOf(operation)
    if (chosen.length > 0 && bytes + added > bytesMax) break
    bytes += added
    if (operation.op === 'delete') deletes++
    operation = operations.at(first + chosen.push(operation))
  }
  const into = { bytes: room(bytes), at: 0 }
  const digits = new DecimalDigits()
  for (const operation of chosen) writeLines(operation, digits, into)
  return { body: into.bytes.subarray(0, into.at), first, next: first + chosen.length, deletes }
}

/** The most that its lines can take. */
function bytesOf({ id, routing, index, body }: Operation): number {
  const place =
    (routing === undefined ? 0 : textBytes(routing)) + (index === undefined ? 0 : textBytes(index))
  const texts = textBytes(id) + place
  return frameBytes + texts + (body === undefined ? 0 : body.bytesMax + 1)
}

function textBytes(text: string): number {
  return plain.test(text) ? text.length : Buffer.byteLength(JSON.stringify(text))
}

/** ASCII that JSON shows as it is. */
const plain = /^[ !#-[\]-~]*$/

function writeLines(operation: Operation, digits: DecimalDigits, into: Writing): void {
  const { op, id, routing, index, version, repeatable, body } = operation
  write(op === 'index' ? indexAction : deleteAction, into)
  writeText(id, into)
  if (routing !== undefined) {
    write(routingName, into)
    writeText(routing, into)
  }
  if (index !== undefined) {
    write(indexName, into)
    writeText(index, into)
  }
  write(versionName, into)
  into.at = digits.write(version, into.bytes, into.at)
  write(repeatable ? notBelow : above, into)
  if (body === undefined) return
  into.at = body.write(into.bytes, into.at)
  into.bytes[into.at++] = lineFeed
}

const indexAction = Buffer.from('{"index":{"_id":')
const deleteAction = Buffer.from('{"delete":{"_id":')
const routingName = Buffer.from(',"routing":')
const indexName = Buffer.from(',"_index":')
const versionName = Buffer.from(',"version":')
const notBelow = Buffer.from(',"version_type":"external_gte"}}\n')
const above = Buffer.from(',"version_type":"external"}}\n')
/** All of the above, quotes and the digits of a version. */
const frameBytes = 128
const [lineFeed, quote] = [10, 34]

function write(text: Buffer, into: Writing): void {
  copyBytes(text, 0, text.length, into)
}

function writeText(text: string, into: Writing): void {
  const { bytes } = into
  if (!plain.test(text)) {
    into.at += bytes.write(JSON.stringify(text), into.at)
    return
  }
  let { at } = into
  bytes[at++] = quote
  if (text.length > shortText) at += bytes.write(text, at, 'latin1')
  else for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index)
  bytes[at++] = quote
  into.at = at
}

/** Up to here a loop beats a call of the runtime. */
const shortText = 32
