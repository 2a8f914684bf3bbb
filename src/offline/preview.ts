/** What a pipeline would make of rows as they are now, without writing to its index. */
import { randomUUID } from 'node:crypto'
import { openAtRest, type AtRest, oneIndex } from './at-rest.ts'
import type { Key, Row, Table } from '../change/change.ts'
import { Failure } from '../change/failure.ts'
import { keyFrom } from '../change/key.ts'
import { textOf, unpackRow } from '../change/row.ts'
import type { PreviewComparison, PreviewedOperation, PreviewedRow } from '../cli/parts.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import { Entries, type Control } from '../log/log.ts'
import { chunkRecords } from '../pipeline/capture/chunk-records.ts'
import { listsOf } from '../document/query-mapper.ts'
import { compareDocuments } from '../pipeline/verify/compare-documents.ts'
import { versionOf } from '../pipeline/capture/numbering.ts'
import { textOfBody, type Operation, type Outcome } from '../sink/sink.ts'
import type { Chunk } from '../source/source.ts'
import { megabyte } from '../units.ts'
import { mapperOf, type Workshop } from '../parts/workshop.ts'

/** `keys` as people spell them. Where `tried`, the target is asked what it thinks of the documents. */
export async function preview(
  workshop: Workshop,
  pipeline: Pipeline,
  { keys: texts, tried }: { readonly keys: readonly string[]; readonly tried: boolean },
  signal: AbortSignal,
): Promise<readonly PreviewedRow[]> {
  await using parts = await openAtRest(workshop, pipeline)
  const { source, table } = parts
  const keys = texts.map((text) => keyFrom(table, text))
  const request = { table: table.name, keys, includes: await source.head() }
  const { rows } = await source.rows(request, signal)
  const version = await nextVersion(workshop, pipeline)
  const operations = await operationsOf(parts, rows, version, signal)
  const opinions = tried ? await opinionsOn(parts, pipeline, operations.flat(), signal) : new Map()
  const requestOf = (operation: Operation) => parts.target.request(pipeline, operation)
  const group = groupOf(pipeline)
  const previewed = rows.map(({ key, row }, at): PreviewedRow => {
    const own = (operations[at] ?? []).map((operation) => shown(operation, { opinions, requestOf }))
    return { group, key: textOf(key), row: rowText(table, row), operations: own }
  })
  const gone = missing(keys, rows).map((key): PreviewedRow => {
    const deletion = shown(mapperOf(pipeline, undefined).gone(table, key, version), { opinions, requestOf })
    return { group, key: textOf(key), row: undefined, operations: [deletion] }
  })
  return [...previewed, ...gone]
}

/** That of a change now; where there is no log yet, the first one of the first. */
async function nextVersion(workshop: Workshop, { source }: Pipeline): Promise<bigint> {
  const { epoch, seq } = (await controlOf(workshop, source)) ?? { epoch: 1, seq: 0 }
  return versionOf(epoch, seq + 1)
}

/** undefined = there is no log yet. */
async function controlOf(workshop: Workshop, source: string): Promise<Control | undefined> {
  try {
    const log = await workshop.readLog(source)
    try {
      return await log.control()
    } finally {
      await log.close()
    }
  } catch (error) {
    if (error instanceof Failure && error.kind === 'lost') return undefined
    throw error
  }
}

/** The documents of the first rows of the table, as two files would make them. */
export async function comparePipelines(
  workshop: Workshop,
  { before, after }: { readonly before: Pipeline; readonly after: Pipeline },
  rowsMax: number,
  signal: AbortSignal,
): Promise<PreviewComparison> {
  const [old, fresh] = [
    await documentsOf(workshop, before, rowsMax, signal),
    await documentsOf(workshop, after, rowsMax, signal),
  ]
  const differences: { id: string; fields: readonly string[] }[] = []
  const definitions = [before.definition, after.definition]
  const lists = definitions.some((each) => listsOf(each) === 'unordered') ? 'unordered' : 'ordered'
  let equal = 0
  for (const [id, document] of old) {
    const other = fresh.get(id)
    if (other === undefined) continue
    const fields = compareDocuments(document, other, lists)
    if (fields.length === 0) equal++
    else differences.push({ id, fields })
  }
  return {
    equal,
    differences,
    removed: [...old.keys()].filter((id) => !fresh.has(id)),
    added: [...fresh.keys()].filter((id) => !old.has(id)),
  }
}

async function documentsOf(
  workshop: Workshop,
  pipeline: Pipeline,
  rowsMax: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  await using parts = await openAtRest(workshop, pipeline)
  const documents = new Map<string, string>()
  let after: Key | undefined
  for (let left = rowsMax; left > 0;) {
    const { rows, last } = await parts.source.chunk(
      {
        table: parts.table.name,
        after,
        rowsMax: left,
        bytesMax: chunkBytesMax,
        includes: await parts.source.head(),
      },
      signal,
    )
    for (const operation of (await operationsOf(parts, rows, 1n, signal)).flat())
      if (operation.op === 'index') documents.set(operation.id, textOfBody(operation.body))
    if (last === undefined) break
    after = last
    left -= rows.length
  }
  return documents
}

const chunkBytesMax = 4 * megabyte

/** For each row, what is to be done: the first with this version. */
async function operationsOf(
  { enrich, table }: AtRest,
  rows: Chunk['rows'],
  version: bigint,
  signal: AbortSignal,
): Promise<readonly (readonly Operation[])[]> {
  const operations: Operation[][] = rows.map(() => [])
  const entries = Entries.all(chunkRecords(table, rows), { offset: 0, version })
  for (const { at, operation } of await enrich(entries, signal)) operations[at]?.push(operation)
  return operations
}

/** By id: what the target says of a document, asked by its index as it is, or by one of its own that is thrown away afterwards. */
async function opinionsOn(
  { index, target }: AtRest,
  pipeline: Pipeline,
  operations: readonly Operation[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Outcome>> {
  const written = operations
    .filter(({ op, remark }) => op === 'index' && remark?.kind !== 'refused')
    .map(inOneIndex)
  if (written.length === 0 || target.discard === undefined) return new Map()
  const simulated = await index().simulate?.(written, signal)
  if (simulated !== undefined) return opinionsBy(written, simulated)
  const alias = `${pipeline.target.index}-preview-${randomUUID().slice(0, 8)}`
  const passing = oneIndex(pipeline, alias)
  const state = await index(alias).create({ pipeline: pipeline.name, lineage: 'preview', epoch: 1 })
  try {
    return opinionsBy(written, await target.sink(passing, state, 5 * megabyte).write(written, signal))
  } finally {
    await target.discard(state)
  }
}

function opinionsBy(
  written: readonly Operation[],
  outcomes: readonly Outcome[],
): ReadonlyMap<string, Outcome> {
  return new Map(written.map(({ id }, at) => [id, outcomes[at] ?? { kind: 'applied' }]))
}

/** Whatever the period: the indexes that are filled are left alone. */
function inOneIndex(operation: Operation): Operation {
  const { id, routing, version, repeatable } = operation
  const placed = { id, routing, version, repeatable }
  return operation.op === 'index'
    ? { ...placed, op: 'index', body: operation.body }
    : { ...placed, op: 'delete', body: undefined }
}

function shown(
  operation: Operation,
  {
    opinions,
    requestOf,
  }: {
    readonly opinions: ReadonlyMap<string, Outcome>
    readonly requestOf: (operation: Operation) => readonly string[]
  },
): PreviewedOperation {
  const { id, op, routing, remark } = operation
  const outcome = opinions.get(id)
  return {
    op,
    id,
    ...(routing === undefined ? {} : { routing }),
    ...(operation.body === undefined ? {} : { document: textOfBody(operation.body) }),
    request: remark?.kind === 'refused' ? [] : requestOf(operation),
    ...(remark === undefined ? {} : { remark: remark.reason }),
    ...(outcome === undefined ? {} : { target: 'reason' in outcome ? outcome.reason : 'accepts it' }),
  }
}

function missing(keys: readonly Key[], rows: Chunk['rows']): readonly Key[] {
  const found = new Set(rows.map(({ key }) => key))
  // A key that the server takes for equal may be spelled differently: then nobody can tell which of them is missing.
  if (rows.length >= keys.length) return []
  return keys.filter((key) => !found.has(key))
}

function rowText({ columns }: Table, row: Row): string {
  const cells = unpackRow(row, columns.length)
  const members = columns.map(({ name }, at) => `${JSON.stringify(name)}:${textOf(cells[at] ?? 'null')}`)
  return `{${members.join(',')}}`
}
