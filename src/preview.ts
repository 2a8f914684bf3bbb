/** What a pipeline would make of rows as they are now, without writing to its index. */
import { randomUUID } from 'node:crypto'
import { openAtRest, type AtRest, oneIndex } from './at-rest.ts'
import type { Key, Row, Table } from './change/change.ts'
import { keyFrom } from './change/key.ts'
import { textOf, unpackRow } from './change/row.ts'
import type { PreviewComparison, PreviewedOperation, PreviewedRow } from './cli/parts.ts'
import type { Pipeline } from './config/pipeline.ts'
import { Entries } from './log/log.ts'
import { chunkRecords } from './pipeline/chunk-records.ts'
import { compareDocuments } from './pipeline/compare-documents.ts'
import { textOfBody, type Operation, type Outcome } from './sink/sink.ts'
import type { Chunk } from './source/source.ts'
import { megabyte } from './units.ts'
import type { Workshop } from './workshop.ts'

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
  const operations = await operationsOf(parts, rows, signal)
  const opinions = tried ? await opinionsOn(parts, pipeline, operations.flat(), signal) : new Map()
  const previewed = rows.map(({ key, row }, at): PreviewedRow => {
    const own = (operations[at] ?? []).map((operation) => shown(operation, opinions))
    return { key: textOf(key), row: rowText(table, row), operations: own }
  })
  return [...previewed, ...missing(keys, rows)]
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
  let equal = 0
  for (const [id, document] of old) {
    const other = fresh.get(id)
    if (other === undefined) continue
    const fields = compareDocuments(document, other)
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
    for (const operation of (await operationsOf(parts, rows, signal)).flat())
      if (operation.op === 'index') documents.set(operation.id, textOfBody(operation.body))
    if (last === undefined) break
    after = last
    left -= rows.length
  }
  return documents
}

const chunkBytesMax = 4 * megabyte

/** For each row, what is to be done. */
async function operationsOf(
  { enrich, table }: AtRest,
  rows: Chunk['rows'],
  signal: AbortSignal,
): Promise<readonly (readonly Operation[])[]> {
  const operations: Operation[][] = rows.map(() => [])
  const entries = Entries.all(chunkRecords(table, rows), { offset: 0, version: 1n })
  for (const { at, operation } of await enrich(entries, signal)) operations[at]?.push(operation)
  return operations
}

/** By id: what the target says of a document that it is given in an index of its own, which is thrown away afterwards. */
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
  const alias = `${pipeline.target.index}-preview-${randomUUID().slice(0, 8)}`
  const passing = oneIndex(pipeline, alias)
  const state = await index(alias).create({ pipeline: pipeline.name, lineage: 'preview', epoch: 1 })
  try {
    const outcomes = await target.sink(passing, state, 5 * megabyte).write(written, signal)
    return new Map(written.map(({ id }, at) => [id, outcomes[at] ?? { kind: 'applied' }]))
  } finally {
    await target.discard(state)
  }
}

/** Whatever the period: the indexes that are filled are left alone. */
function inOneIndex(operation: Operation): Operation {
  const { id, routing, version, repeatable } = operation
  const placed = { id, routing, version, repeatable }
  return operation.op === 'index'
    ? { ...placed, op: 'index', body: operation.body }
    : { ...placed, op: 'delete', body: undefined }
}

function shown(operation: Operation, opinions: ReadonlyMap<string, Outcome>): PreviewedOperation {
  const { id, op, routing, remark } = operation
  const outcome = opinions.get(id)
  return {
    op,
    id,
    ...(routing === undefined ? {} : { routing }),
    ...(operation.body === undefined ? {} : { document: textOfBody(operation.body) }),
    ...(remark === undefined ? {} : { remark: remark.reason }),
    ...(outcome === undefined ? {} : { target: 'reason' in outcome ? outcome.reason : 'accepts it' }),
  }
}

function missing(keys: readonly Key[], rows: Chunk['rows']): readonly PreviewedRow[] {
  const found = new Set(rows.map(({ key }) => key))
  // A key that the server takes for equal may be spelled differently: then nobody can tell which of them is missing.
  if (rows.length >= keys.length) return []
  return keys
    .filter((key) => !found.has(key))
    .map((key) => ({ key: textOf(key), row: undefined, operations: [] }))
}

function rowText({ columns }: Table, row: Row): string {
  const cells = unpackRow(row, columns.length)
  const members = columns.map(({ name }, at) => `${JSON.stringify(name)}:${textOf(cells[at] ?? 'null')}`)
  return `{${members.join(',')}}`
}
