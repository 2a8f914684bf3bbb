import { composed, configured, pipelineFrom, pipelinesNamed } from '../configured.ts'
import { exit, UsageError } from '../context.ts'
import type { PreviewComparison, PreviewedOperation, PreviewedRow } from '../parts.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

export const preview: Command = {
  name: 'preview',
  summary: 'Show what a pipeline makes of rows as they are now, without writing to its index.',
  positionals: 'PIPELINE [KEY...]',
  options: {
    ...configurationOptions,
    ...jsonOption,
    untried: { help: 'Do not ask the target what it thinks of the documents.' },
    against: { value: 'FILE', help: 'Compare with another pipeline file, over the first rows of the table.' },
    rows: { value: 'COUNT', help: 'How many rows are compared. Default: 1000' },
  },
  about: `Reads each row, makes its document with all that the pipeline file says (filter, forms, rows of other tables, upstreams,
transform) and shows the row and the very request that each target would get, with the version that a change would have now.
Elasticsearch from 8.17 on is asked what it thinks of the document without taking it (_simulate, by the mapping of the index as it
is, with the fields that it would get). Where that cannot be asked, or there is no index yet, the document is written into an
index of its own, PIPELINE-preview-..., made with the same mappings and thrown away at once. A write service is not asked.

With --against FILE nothing is written anywhere: the documents of the first rows as the pipeline makes them are held against
those that the other file would make.

A key is spelled as for millrace touch: 42, or '["de",7]' where it has several columns.`,
  examples: [
    ['millrace preview orders 42 43', 'two rows and their documents'],
    ['millrace preview orders --against orders-new.yaml', 'what a changed file would change'],
  ],
  exits: [
    '0  shown; with --against: both files make the same documents',
    '1  a row is not there, its document would be refused, or the two files differ',
    '3  the source, an upstream or the target cannot be reached',
  ],
  async run(args, context) {
    const [name = '', ...keys] = args.positionals
    const configuration = configured(args, context)
    const pipelines = pipelinesNamed(configuration, name)
    const [pipeline] = pipelines
    const parts = await composed(configuration, context)
    const json = args.has('json')
    const against = args.value('against')
    if (against !== undefined) {
      if (keys.length > 0)
        throw new UsageError('millrace preview --against compares rows by itself: give no KEY')
      const after = pipelineFrom(args, context, against)
      const found = await parts.comparePipelines(
        { before: pipeline, after },
        rowsOf(args.value('rows')),
        context.signal,
      )
      for (const line of json ? [JSON.stringify(found)] : describeComparison(found)) context.out(line)
      return isSame(found) ? exit.ok : exit.bad
    }
    if (keys.length === 0) throw new UsageError('millrace preview needs a KEY, or --against FILE')
    const rows: PreviewedRow[] = []
    for (const each of pipelines)
      rows.push(...(await parts.preview(each, { keys, tried: !args.has('untried') }, context.signal)))
    for (const row of rows) context.out(json ? JSON.stringify(row) : describeRow(row, pipelines.length > 1))
    return rows.every(isWell) ? exit.ok : exit.bad
  },
}

function rowsOf(text = '1000'): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new UsageError(`--rows needs a whole number from 1 to 9999999, not "${text}"`)
}

function isWell({ row, operations }: PreviewedRow): boolean {
  return (
    row !== undefined &&
    operations.every(({ remark, target = accepted }) => remark === undefined && target === accepted)
  )
}

const accepted = 'accepts it'

function describeRow({ group, key, row, operations }: PreviewedRow, hasMany: boolean): string {
  const lines = [hasMany ? `key ${key}, ${group}` : `key ${key}`, `  row       ${row ?? 'is not there'}`]
  if (row !== undefined && operations.length === 0) lines.push('  document  none: the filter leaves it out')
  return [...lines, ...operations.flatMap(describeOperation)].join('\n')
}

function describeOperation({ document, request, remark, target }: PreviewedOperation): readonly string[] {
  const [call, ...lines] = request
  return [
    ...(call === undefined ? [`  document  ${document}`] : [`  request   ${call}`]),
    ...lines.map((line) => `            ${line}`),
    ...(remark === undefined ? [] : [`  remark    ${remark}`]),
    ...(target === undefined ? [] : [`  target    ${target}`]),
  ]
}

function isSame({ differences, added, removed }: PreviewComparison): boolean {
  return differences.length + added.length + removed.length === 0
}

function describeComparison({ equal, differences, added, removed }: PreviewComparison): readonly string[] {
  const byFields = new Map<string, string[]>()
  for (const { id, fields } of differences) {
    const names = fields.join(', ')
    byFields.set(names, [...(byFields.get(names) ?? []), id])
  }
  const changed = [...byFields].map(
    ([fields, ids]) => `${ids.length} differ in ${fields}, such as ${ids.slice(0, shownIds).join(', ')}`,
  )
  return [
    `${equal} documents are the same`,
    ...changed,
    ...only(removed, 'would go'),
    ...only(added, 'would come'),
  ]
}

function only(ids: readonly string[], what: string): readonly string[] {
  return ids.length === 0 ? [] : [`${ids.length} ${what}, such as ${ids.slice(0, shownIds).join(', ')}`]
}

const shownIds = 3
