/** What every Source keeps to. One suite, run over each implementation. */
import assert from 'node:assert/strict'
import type { Change, Key, Position, Row } from '../../src/change/change.ts'
import { countOf } from '../../src/change/records.ts'
import { textOf, unpackRow, valueOf } from '../../src/change/row.ts'
import type { Chunk, RelatedRequest, RelatedRows, Source, SourceBatch } from '../../src/source/source.ts'
import { rulesOf } from '../support/rules.ts'

/** One statement on the subject's table `(id integer key, name string, amount integer or null)`. */
export type ItemWrite =
  | { readonly op: 'insert'; readonly id: number; readonly name: string; readonly amount: number | null }
  | { readonly op: 'update'; readonly id: number; readonly name: string; readonly amount: number | null }
  | { readonly op: 'rekey'; readonly id: number; readonly to: number }
  | { readonly op: 'delete'; readonly id: number }

/** A source that watches one empty table, and the means to write to it. */
export interface SourceSubject {
  readonly source: Source
  /** `schema.table`. */
  readonly table: string
  /** Enough rows that one transaction does not fit into one piece of the stream. */
  readonly hugeRows: number
  /** In one transaction, committed when resolved. */
  readonly write: (writes: readonly ItemWrite[]) => Promise<void>
  readonly truncate: () => Promise<void>
  readonly close: () => Promise<void>
}

/** `stream`: nothing but the stream can be read. */
export function testSource(
  name: string,
  open: () => Promise<SourceSubject>,
  reads: 'everything' | 'stream' = 'everything',
): void {
  const check = rulesOf(name, open)
  check('changes come in the order of commit, with the rows before and after', commitOrder)
  check('a change of the key is a delete and an insert that stay together', keyChange)
  check('reading goes on after any position that was given, without a hole or a repetition', resume)
  check('a transaction larger than a piece comes in pieces and can be resumed inside', hugeTransaction)
  check('positions that were given cover those before them, not those behind them', covering)
  check('a statement that hides its rows is a barrier between the changes before and after it', barrier)
  check('a silent stream shows that it is alive, and ends when it is aborted', silence)
  if (reads === 'stream') {
    check('what cannot be read is refused, and says so', streamOnly)
    return
  }
  check('chunks give every row once, in key order, within their bounds', chunkPages)
  check('a chunk includes what its fence demands, and its head covers what it saw', chunkFence)
  check('a row reads the same from the stream and from a chunk', sameRows)
  check(
    'a view finds rows by values, in order and in pages, with the columns that were asked for',
    relatedRows,
  )
  check('a view sees one point in time, which includes what its fence demands', viewFence)
}

async function commitOrder({ source, table, write }: SourceSubject): Promise<void> {
  const from = await source.head()
  await write([item(1, 'one', 10), item(2, 'Zwölf "2"\n', null)])
  await write([{ op: 'update', id: 2, name: '二', amount: -5 }])
  await write([{ op: 'delete', id: 1 }, item(3, '', 0)])
  const changes = changesIn(await readTo(source, from, await source.head()))
  assert.deepEqual(changes.map(plain), [
    { op: 'insert', key: '[1]', before: undefined, after: [1, 'one', 10] },
    { op: 'insert', key: '[2]', before: undefined, after: [2, 'Zwölf "2"\n', null] },
    { op: 'update', key: '[2]', before: [2, 'Zwölf "2"\n', null], after: [2, '二', -5] },
    { op: 'delete', key: '[1]', before: [1, 'one', 10], after: undefined },
    { op: 'insert', key: '[3]', before: undefined, after: [3, '', 0] },
  ])
  assert(changes.every((change) => change.table.name === table && change.committedAtMs > 0))
}

async function keyChange({ source, write }: SourceSubject): Promise<void> {
  const from = await source.head()
  await write([item(1, 'moves', 1)])
  await write([{ op: 'rekey', id: 1, to: 100 }])
  const batches = await readTo(source, from, await source.head())
  assert.deepEqual(changesIn(batches).map(plain), [
    { op: 'insert', key: '[1]', before: undefined, after: [1, 'moves', 1] },
    { op: 'delete', key: '[1]', before: [1, 'moves', 1], after: undefined },
    { op: 'insert', key: '[100]', before: undefined, after: [100, 'moves', 1] },
  ])
  const together = batches.some(
    (batch) => changesIn([batch]).at(-1)?.key === '[100]' && changesIn([batch]).at(-2)?.op === 'delete',
  )
  assert(together, 'a crash must not come between the two')
}

async function resume({ source, write }: SourceSubject): Promise<void> {
  const from = await source.head()
  for (let id = 1; id <= 6; id++) await write([item(id, `row ${id}`, id), item(id + 10, 'other', null)])
  await write([{ op: 'rekey', id: 3, to: 33 }])
  await assertResumable(source, from, await readTo(source, from, await source.head()))
}

async function hugeTransaction({ source, write, hugeRows }: SourceSubject): Promise<void> {
  const from = await source.head()
  const name = 'x'.repeat(200)
  await write(Array.from({ length: hugeRows }, (_, at) => item(at + 1, name, at)))
  const head = await source.head()
  const batches = await readTo(source, from, head)
  const pieces = batches.filter((batch) => countOf(batch.records) > 0)
  assert(pieces.length > 1, 'the transaction fits into one piece: it must be larger for this rule')
  assert.deepEqual(
    changesIn(batches).map((change) => change.key),
    Array.from({ length: hugeRows }, (_, at) => `[${at + 1}]`),
  )
  for (const piece of pieces.slice(0, -1))
    assert(!source.covers(piece.position, head), 'a position inside a transaction does not cover all of it')
  await assertResumable(source, from, batches.slice(0, 3), head)
}

async function covering({ source, write }: SourceSubject): Promise<void> {
  const positions: Position[] = [await source.head()]
  for (let id = 1; id <= 3; id++) {
    await write([item(id, 'row', id)])
    positions.push(await source.head())
  }
  for (const [at, position] of positions.entries()) {
    for (const [other, behind] of positions.entries())
      assert.equal(source.covers(position, behind), at >= other, `${at} covers ${other}`)
  }
}

async function barrier({ source, table, write, truncate }: SourceSubject): Promise<void> {
  const from = await source.head()
  await write([item(1, 'before', 1)])
  await truncate()
  await write([item(1, 'after', 2)])
  const batches = await readTo(source, from, await source.head())
  const at = batches.findIndex((batch) => batch.barriers.length > 0)
  const stop = batches[at]
  assert(stop !== undefined, 'there is a barrier')
  assert.deepEqual(
    stop.barriers.map((each) => each.table),
    [table],
  )
  assert.match(stop.barriers[0]?.statement ?? '', /truncate/i)
  assert.deepEqual(namesIn(batches.slice(0, at + 1)), ['before'])
  assert.deepEqual(namesIn(batches.slice(at + 1)), ['after'])
}

function namesIn(batches: readonly SourceBatch[]): unknown[] {
  return changesIn(batches).map((change) => plain(change).after?.[1])
}

async function chunkPages({ source, table, write }: SourceSubject): Promise<void> {
  const ids = [1, 2, 3, 10, 11, 20, 100, 101, 2000]
  await write(ids.toReversed().map((id) => item(id, `row ${id}`, id)))
  const includes = await source.head()
  for (const [rowsMax, bytesMax] of [
    [4, 1_000_000],
    [1000, 1],
    [1000, 60],
  ] as const) {
    const found: string[] = []
    for (let after: Key | undefined; ;) {
      const request = { table, after, rowsMax, bytesMax, includes }
      const chunk = await source.chunk(request, forever())
      assert(chunk.rows.length <= rowsMax)
      assert.equal(chunk.last, chunk.rows.at(-1)?.key)
      if (chunk.rows.length === 0) break
      if (chunk.rows.length > 1) assert(bytesOf(chunk) <= bytesMax)
      found.push(...chunk.rows.map(({ key }) => key))
      const keys = await source.chunk({ ...request, bytesMax: 1_000_000, keysOnly: true }, forever())
      assert.deepEqual(keysOf(keys).slice(0, chunk.rows.length), keysOf(chunk))
      assert.deepEqual(keys.table, chunk.table)
      after = chunk.last
    }
    assert.deepEqual(
      found,
      ids.map((id) => `[${id}]`),
    )
  }
}

async function chunkFence({ source, table, write }: SourceSubject): Promise<void> {
  const from = await source.head()
  for (let id = 1; id <= 5; id++) {
    await write([item(id, 'row', id)])
    const includes = await source.head()
    const request = { table, after: undefined, rowsMax: 100, bytesMax: 1_000_000, includes }
    const chunk = await source.chunk(request, forever())
    assert.equal(chunk.rows.length, id)
    assert(source.covers(chunk.head, includes))
    const streamed = changesIn(await readTo(source, from, chunk.head)).map(({ key }) => key)
    for (const { key } of chunk.rows) assert(streamed.includes(key), 'the head covers every row of the chunk')
  }
}

async function sameRows({ source, table, write }: SourceSubject): Promise<void> {
  const from = await source.head()
  await write([item(1, 'Ünïcode 🎉 "quoted" \\ \t', -2147483648), item(2, '', null)])
  const head = await source.head()
  const streamed = changesIn(await readTo(source, from, head)).map(({ key, after }) => ({ key, row: after }))
  const request = { table, after: undefined, rowsMax: 10, bytesMax: 1_000_000, includes: head }
  const { rows } = await source.chunk(request, forever())
  assert.deepEqual(rows, streamed)
}

const anything = { columns: undefined, marks: [], order: [], rowsMax: 100 }

async function relatedRows({ source, table, write }: SourceSubject): Promise<void> {
  const amounts = [10, 20, 10, null, 30, 10]
  await write(amounts.map((amount, at) => item(at + 1, `row ${at % 3}`, amount)))
  const signal = new AbortController().signal
  const includes = await source.head()
  await source.view(
    { tables: [table], includes },
    async (view) => {
      const ask = async (more: Partial<RelatedRequest>): Promise<RelatedRows> =>
        await view.related({ table, by: ['amount'], values: [['10'], ['30']], ...anything, ...more }, signal)
      const all = await ask({})
      assert.deepEqual(
        all.rows.map(({ key }) => key),
        ['[1]', '[3]', '[5]', '[6]'],
      )
      assert.deepEqual(
        all.table.columns.map(({ name }) => name),
        ['id', 'name', 'amount'],
      )
      const sorted = await ask({ order: [{ column: 'name', descending: true }], marks: ['amount'] })
      assert.deepEqual(
        sorted.rows.map((row) => [row.key, row.mark(0)]),
        [
          ['[3]', '10'],
          ['[6]', '10'],
          ['[5]', '30'],
          ['[1]', '10'],
        ],
      )
      const keys = await ask({ columns: [], by: ['id'], values: [['2'], ['4'], ['9']], marks: ['amount'] })
      assert.deepEqual(
        keys.rows.map((row) => [row.key, row.mark(0)]),
        [
          ['[2]', '20'],
          ['[4]', undefined],
        ],
      )
      const page = await ask({ values: [['10']], after: '[1]' as Key, rowsMax: 1 })
      assert.deepEqual(
        page.rows.map(({ key }) => key),
        ['[3]'],
      )
      const both = await ask({
        by: ['name', 'amount'],
        values: [
          ['"row 0"', '10'],
          ['"row 1"', '30'],
        ],
      })
      assert.deepEqual(
        both.rows.map(({ key }) => key),
        ['[1]', '[5]'],
      )
      const narrow = await ask({ columns: ['name'], by: ['id'], values: [['1']] })
      assert.equal((await ask({ columns: ['name'], by: ['id'], values: [['2']] })).table, narrow.table)
      const { bytes, from, to } = narrow.rows[0] ?? assert.fail('a row')
      assert.deepEqual(
        unpackRow(bytes.toString('latin1', from, to) as Row, narrow.table.columns.length).map((cell, at) => [
          narrow.table.columns[at]?.name,
          cell,
        ]),
        [
          ['id', '1'],
          ['name', '"row 0"'],
        ],
      )
    },
    signal,
  )
}

async function viewFence({ source, table, write }: SourceSubject): Promise<void> {
  const signal = new AbortController().signal
  await write([item(1, 'one', 1)])
  const first = await source.head()
  await source.view(
    { tables: [table], includes: first },
    async (view) => {
      const ask = async (): Promise<number> => {
        const request = { table, by: ['amount'], values: [['1']], ...anything }
        return (await view.related(request, signal)).rows.length
      }
      assert.equal(await ask(), 1)
      await write([item(2, 'two', 1)])
      assert.equal(await ask(), 1, 'what came later is not seen')
    },
    signal,
  )
}

async function silence({ source, write }: SourceSubject): Promise<void> {
  const from = await source.head()
  await write([item(1, 'row', 1)])
  const stop = new AbortController()
  let silent = 0
  for await (const batch of source.read(from, stop.signal)) {
    if (countOf(batch.records) === 0) silent++
    if (silent === 2) stop.abort()
  }
  assert.equal(silent, 2, 'an aborted read ends and gives nothing more')
}

/** Reads again from each of the positions: what follows must be the rest, and nothing but the rest. */
async function assertResumable(
  source: Source,
  from: Position,
  batches: readonly SourceBatch[],
  until = batches.at(-1)?.position ?? from,
): Promise<void> {
  const all = changesIn(await readTo(source, from, until)).map(plain)
  let given = 0
  for (const batch of batches) {
    given += countOf(batch.records)
    const rest = await readTo(source, batch.position, until)
    assert.deepEqual(changesIn(rest).map(plain), all.slice(given))
  }
}

async function readTo(source: Source, from: Position, until: Position): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = []
  if (source.covers(from, until)) return batches
  const stop = new AbortController()
  for await (const batch of source.read(from, stop.signal)) {
    batches.push(batch)
    if (source.covers(batch.position, until)) break
  }
  stop.abort()
  return batches
}

function changesIn(batches: readonly SourceBatch[]): Change[] {
  return batches.flatMap((batch) => batch.records.flatMap((records) => [...records]))
}

function plain(change: Change): {
  readonly op: Change['op']
  readonly key: string
  readonly before: readonly unknown[] | undefined
  readonly after: readonly unknown[] | undefined
} {
  const { table, op, key, before, after } = change
  const show = (row: Row | undefined): unknown[] | undefined =>
    row === undefined
      ? undefined
      : table.columns.map((column, at) => valueOf(column, unpackRow(row, table.columns.length)[at]))
  return { op, key: textOf(key), before: show(before), after: show(after) }
}

async function streamOnly({ source, table, write }: SourceSubject): Promise<void> {
  await write([item(1, 'row', 1)])
  assert.ok(source.streamOnly !== undefined && source.streamOnly.why !== '')
  const from = await source.streamOnly.beginning()
  assert.equal(changesIn(await readTo(source, from, await source.head())).length, 1)
  const includes = await source.head()
  const refused = { name: 'Failure', kind: 'unsupported' }
  const chunk = { table, after: undefined, rowsMax: 1, bytesMax: 1, includes }
  await assert.rejects(source.chunk(chunk, forever()), refused)
  await assert.rejects(source.rows({ table, keys: ['[1]' as Key], includes }, forever()), refused)
}

function item(id: number, name: string, amount: number | null): ItemWrite {
  return { op: 'insert', id, name, amount }
}

function keysOf({ rows }: Chunk): readonly Key[] {
  return rows.map(({ key }) => key)
}

function bytesOf(chunk: Chunk): number {
  return chunk.rows.reduce((sum, { key, row }) => sum + key.length + row.length, 0)
}

function forever(): AbortSignal {
  return new AbortController().signal
}
