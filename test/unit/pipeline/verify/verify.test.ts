import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DocumentDefinition } from '../../../../src/document/definition.ts'
import type { Work } from '../../../../src/document/enricher.ts'
import { Mapper } from '../../../../src/document/mapping.ts'
import { verify, type Difference } from '../../../../src/pipeline/verify/verify.ts'
import { MemoryDatabase } from '../../../support/memory-database.ts'
import { MemorySource } from '../../../support/memory-source.ts'
import { MemoryIndex } from '../../../support/memory-sink.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const table = 'shop.items'

const definition: DocumentDefinition = {
  table,
  fields: undefined,
  exclude: [],
  where: [{ column: 'name', comparison: 'ne', value: 'hidden' }],
  id: undefined,
  idPrefix: '',
}

/** A table of rows 0 to 99 and an index that equals it. */
async function equal(): Promise<{ readonly database: MemoryDatabase; readonly index: MemoryIndex }> {
  const database = new MemoryDatabase(() => 0)
  database.createTable(
    table,
    [
      { name: 'id', kind: 'integer', type: 'int', nullable: false },
      { name: 'name', kind: 'string', type: 'varchar(50)', nullable: false },
    ],
    [0],
  )
  const index = new MemoryIndex({ pageSize: 9 })
  await index.create({ pipeline: 'items', lineage: 'l', epoch: 1 })
  database.transaction((writer) => {
    for (let id = 0; id < 100; id++) {
      const name = id % 10 === 7 ? 'hidden' : `näme ${id} 🎉`
      writer.insert(table, { id, name })
      if (name !== 'hidden') index.intrude(String(id), JSON.stringify({ name, id }))
    }
  })
  return { database, index }
}

async function found(
  { database, index }: Awaited<ReturnType<typeof equal>>,
  options: {
    readonly idsMax?: number
    readonly beforeHead?: () => void
    readonly changed?: (work: Work) => Work
  } = {},
): Promise<{ readonly differences: Difference[]; readonly summary: unknown }> {
  const mapper = new Mapper(definition)
  const source = new MemorySource({
    database,
    clock: new VirtualClock(),
    pieceRows: 10,
    heartbeatMs: 1_000,
    suffer: (call) => {
      if (call === 'head') options.beforeHead?.()
      return Promise.resolve()
    },
  })
  const verification = verify(
    {
      table,
      source,
      index,
      enrich: (entries) =>
        Promise.resolve(Array.from(mapper.map(entries).works, options.changed ?? ((work) => work))),
      lists: 'ordered',
      chunkRows: 13,
      chunkBytes: 100_000,
      idsMax: options.idsMax ?? 1_000,
      rowsEstimate: 100,
      progress: () => undefined,
    },
    new AbortController().signal,
  )
  const differences: Difference[] = []
  for (;;) {
    const next = await verification.next()
    if (next.done === true) return { differences, summary: next.value }
    differences.push(next.value)
  }
}

for (const idsMax of [1_000, 30, 1]) {
  test(`index and table that are equal have no difference, in passes of ${idsMax} ids`, async () => {
    const { differences, summary } = await found(await equal(), { idsMax })
    assert.deepEqual(differences, [])
    assert.deepEqual(summary, { rows: 100, documents: 90 })
  })

  test(`each difference is found once and named, in passes of ${idsMax} ids`, async () => {
    const subject = await equal()
    subject.index.intrude('5', '{"id":5,"name":"another"}')
    subject.index.intrude('7', '{"id":7,"name":"hidden"}')
    subject.index.intrude('nobody', '{}')
    subject.database.transaction((writer) => writer.insert(table, { id: 200, name: 'unheard of' }))
    const { differences } = await found(subject, { idsMax })
    assert.deepEqual(
      differences.toSorted((a, b) => a.id.localeCompare(b.id)),
      [
        { kind: 'missing', id: '200' },
        { kind: 'different', id: '5', fields: ['name'] },
        { kind: 'orphan', id: '7' },
        { kind: 'orphan', id: 'nobody' },
      ],
    )
  })
}

test('a document that cannot be made is told, though the stored one is as its row', async () => {
  const remark = { kind: 'refused', reason: 'the transform failed', fingerprint: 'failed' } as const
  const { differences } = await found(await equal(), {
    changed: (work) =>
      work.operation.id === '5' ? { ...work, operation: { ...work.operation, remark } } : work,
  })
  assert.deepEqual(differences, [{ kind: 'unmade', id: '5', reason: 'the transform failed' }])
})

test('a change that is under way is looked at twice, and not reported', async () => {
  const subject = await equal()
  subject.index.intrude('5', '{"id":5,"name":"newer"}')
  let heads = 0
  const beforeHead = (): void => {
    // The second look at the first chunk begins with the third question for the head.
    if (++heads === 3)
      subject.database.transaction((writer) => writer.update(table, { id: 5 }, { id: 5, name: 'newer' }))
  }
  assert.deepEqual((await found(subject, { beforeHead })).differences, [])
})
