import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column } from '../../../src/change/change.ts'
import { Failure } from '../../../src/change/failure.ts'
import type { DocumentDefinition } from '../../../src/document/definition.ts'
import type { ColumnPolicy } from '../../../src/pipeline/index/column-gate.ts'
import type { PipelineParts } from '../../../src/pipeline/pipeline.ts'
import type { Operation } from '../../../src/sink/sink.ts'
import { definition, documentsOf, noWishes, Process, table, World } from '../../support/one-pipeline.ts'

const id: Column = { name: 'id', kind: 'integer', type: 'int', nullable: false }
const name: Column = { name: 'name', kind: 'string', type: 'varchar(50)', nullable: false }
const colour: Column = { name: 'colour', kind: 'enum', type: 'enum', nullable: false }

/** Some rows in an index, and a process that keeps it so. */
async function running(
  policy: ColumnPolicy,
  made: DocumentDefinition = definition,
): Promise<{ readonly world: World; readonly process: Process }> {
  const world = new World()
  for (const number of [1, 2, 3]) world.insert(number, `row ${number}`)
  const process = new Process(world, documentsOf(world, made, policy)).start()
  await world.clock.until(process.facts.until('load-finished'))
  return { world, process }
}

function alter(
  world: World,
  columns: readonly Column[],
  values: Readonly<Record<string, unknown>> = {},
): void {
  world.database.alter(table, columns, (row) => ({ ...row, ...values }))
}

function insert(world: World, values: Readonly<Record<string, unknown>>): void {
  world.database.transaction((writer) => writer.insert(table, values))
}

function documents(world: World): Record<string, unknown> {
  const sources = [...world.index.documents()].map(([key, { source }]) => [key, JSON.parse(source)])
  return Object.fromEntries(sources) as Record<string, unknown>
}

async function loadedAgain(
  { world, process }: { world: World; process: Process },
  times: number,
): Promise<void> {
  await world.clock.until(
    process.facts.until('load-finished', () => process.facts.of('load-finished').length === times),
  )
}

async function failureOf({ world, process }: { world: World; process: Process }): Promise<Failure> {
  const failure = await world.clock.until(process.failure)
  assert(failure instanceof Failure)
  return failure
}

test('auto: the index is made ready for new columns before the first document shows them', async () => {
  const { world, process } = await running('auto')
  const told: string[] = []
  const reconcile = world.index.reconcile.bind(world.index)
  world.index.reconcile = async () => {
    told.push('the index is made ready')
    return await reconcile()
  }
  world.index.fault = (operations) => {
    if (operations.some(({ op }) => op === 'index')) told.push('a document is written')
    return undefined
  }
  alter(world, [id, name, colour], { colour: 'blue' })
  insert(world, { id: 4, name: 'row 4', colour: 'red' })
  await loadedAgain({ world, process }, 2)
  assert.equal(told[0], 'the index is made ready')
  assert(told.includes('a document is written'))
  assert.deepEqual(documents(world)['3'], { id: 3, name: 'row 3', colour: 'blue' })
  assert.deepEqual(documents(world)['4'], { id: 4, name: 'row 4', colour: 'red' })
  await process.end()
})

test('auto: what the index cannot hold stops the pipeline before a document is refused', async () => {
  const { world, process } = await running('auto')
  world.index.differences = ['field name is text in the index, but its values need integer']
  const before = documents(world)
  alter(world, [id, { ...name, kind: 'integer', type: 'int' }], { name: 7 })
  insert(world, { id: 4, name: 8 })
  const failure = await failureOf({ world, process })
  assert.match(failure.message, /ALTER TABLE shop\.items.*cannot hold the documents: field name is text/)
  assert.match(failure.remedy ?? '', /delete the index/)
  assert.deepEqual(documents(world), before)
  await process.end()
})

test('propose: a new column is left out and told, until a start accepts it', async () => {
  const { world, process } = await running('propose')
  alter(world, [id, colour, name], { colour: 'blue' })
  insert(world, { id: 4, name: 'row 4', colour: 'red' })
  await loadedAgain({ world, process }, 2)
  const proposals = process.facts.of('columns-proposed')
  assert.deepEqual(
    proposals.map(({ mappings }) => mappings),
    [{ colour: 'enum' }],
  )
  assert.deepEqual(documents(world)['3'], { id: 3, name: 'row 3' })
  assert.deepEqual(documents(world)['4'], { id: 4, name: 'row 4' })
  await process.end()

  const again = new Process(world, documentsOf(world, definition, 'propose')).start()
  insert(world, { id: 5, name: 'row 5', colour: 'red' })
  await world.clock.until(again.facts.until('committed'))
  assert.deepEqual(again.facts.of('columns-proposed')[0]?.mappings, { colour: 'enum' })
  await world.clock.advance(1_000)
  assert.deepEqual(documents(world)['5'], { id: 5, name: 'row 5' })
  await again.end()

  const accepting = new Process(world, accepted(world, 'propose', { reload: true })).start()
  await world.clock.until(accepting.facts.until('load-finished'))
  assert.deepEqual(accepting.facts.of('columns-proposed'), [])
  assert.deepEqual(documents(world)['3'], { id: 3, name: 'row 3', colour: 'blue' })
  assert.deepEqual(documents(world)['5'], { id: 5, name: 'row 5', colour: 'red' })
  await accepting.end()
})

test('propose: a proposal is withdrawn with its column', async () => {
  const { world, process } = await running('propose')
  alter(world, [id, name, colour], { colour: 'blue' })
  await loadedAgain({ world, process }, 2)
  alter(world, [id, name])
  await loadedAgain({ world, process }, 3)
  assert.deepEqual(
    process.facts.of('columns-proposed').map(({ mappings }) => mappings),
    [{ colour: 'enum' }, {}],
  )
  await process.end()
})

test('propose: without a column that documents show the pipeline waits, and goes on when it is back', async () => {
  const { world, process } = await running('propose')
  world.insert(4, 'row 4')
  alter(world, [id])
  insert(world, { id: 5, name: 'row 5' })
  const { failure } = await world.clock.until(process.facts.until('restarting'))
  assert.match(failure.message, /field name: the column name is gone \(ALTER TABLE shop\.items\)/)
  assert.match(failure.remedy ?? '', /give the table the column back; or .*--reload items/)
  await world.clock.advance(60_000)
  assert.deepEqual(Object.keys(documents(world)), ['1', '2', '3', '4'])
  assert.deepEqual(documents(world)['1'], { id: 1, name: 'row 1' })
  alter(world, [id, name])
  await loadedAgain({ world, process }, 2)
  assert.deepEqual(documents(world)['5'], { id: 5, name: 'row 5' })
  await process.end()
})

test('freeze: what came before is delivered, nothing of what came after; --keep goes on', async () => {
  const { world, process } = await running('freeze')
  world.insert(4, 'row 4')
  world.delete(1)
  alter(world, [id, name, colour], { colour: 'blue' })
  insert(world, { id: 5, name: 'row 5', colour: 'red' })
  const failure = await failureOf({ world, process })
  assert.match(
    failure.message,
    /policy\.ddl is freeze: field colour \(enum\) is new \(ALTER TABLE shop\.items\)/,
  )
  assert.match(failure.remedy ?? '', /--reload items .*--keep items/)
  await process.end()
  const refused = new Process(world, documentsOf(world, definition, 'freeze')).start()
  await failureOf({ world, process: refused })
  await refused.end()
  assert.deepEqual(documents(world), {
    2: { id: 2, name: 'row 2' },
    3: { id: 3, name: 'row 3' },
    4: { id: 4, name: 'row 4' },
  })
  const keeping = new Process(world, accepted(world, 'freeze', { keep: true })).start()
  await world.clock.until(keeping.facts.until('load-finished'))
  assert.deepEqual(documents(world)['5'], { id: 5, name: 'row 5', colour: 'red' })
  await keeping.end()
})

test('auto after another policy: what was never accepted is settled by the person', async () => {
  const { world, process } = await running('propose')
  alter(world, [id, name, colour], { colour: 'blue' })
  await loadedAgain({ world, process }, 2)
  await process.end()
  const refused = new Process(world, documentsOf(world, definition, 'auto')).start()
  const failure = await failureOf({ world, process: refused })
  assert.match(failure.message, /without changes of the columns: field colour \(enum\) is new/)
  await refused.end()
  const following = new Process(world, accepted(world, 'auto', { reload: true })).start()
  await world.clock.until(following.facts.until('load-finished'))
  assert.deepEqual(documents(world)['3'], { id: 3, name: 'row 3', colour: 'blue' })
  await following.end()
  const settled = new Process(world, documentsOf(world, definition, 'auto')).start()
  await world.clock.until(settled.facts.until('pipeline-state', ({ state }) => state === 'running'))
  await settled.end()
})

test('freeze: columns that documents do not show come and go', async () => {
  const made = { ...definition, fields: { title: 'name' } }
  const { world, process } = await running('freeze', made)
  alter(world, [id, colour, { ...name, type: 'varchar(90)' }], { colour: 'blue' })
  insert(world, { id: 4, name: 'row 4', colour: 'red' })
  await loadedAgain({ world, process }, 2)
  assert.deepEqual(documents(world)['4'], { title: 'row 4' })
  await process.end()
})

test('a condition whose column is gone deletes nothing', async () => {
  for (const policy of ['propose', 'freeze'] as const) {
    const where = [{ column: 'name', comparison: 'ne', value: 'hidden' }] as const
    const { world, process } = await running(policy, { ...definition, fields: { number: 'id' }, where })
    const deletes: Operation[] = []
    world.index.fault = (operations) => {
      deletes.push(...operations.filter(({ op }) => op === 'delete'))
      return undefined
    }
    alter(world, [id, colour], { colour: 'blue' })
    world.database.transaction((writer) => writer.update(table, { id: 1 }, { id: 1, colour: 'red' }))
    if (policy === 'freeze') await failureOf({ world, process })
    else await world.clock.until(process.facts.until('restarting'))
    assert.deepEqual(deletes, [])
    assert.deepEqual(Object.keys(documents(world)), ['1', '2', '3'])
    await process.end()
  }
})

test('entries of former columns pass where the present ones are accepted', async () => {
  const { world, process } = await running('freeze')
  await process.end()
  alter(world, [id, name, colour], { colour: 'blue' })
  insert(world, { id: 4, name: 'row 4', colour: 'red' })
  alter(world, [id, name])
  world.insert(5, 'row 5')
  const late = new Process(world, documentsOf(world, definition, 'freeze')).start()
  await world.clock.until(late.facts.until('load-finished'))
  await world.clock.advance(1_000)
  assert.deepEqual(documents(world)['4'], { id: 4, name: 'row 4' })
  assert.deepEqual(documents(world)['5'], { id: 5, name: 'row 5' })
  await late.end()
})

function accepted(
  world: World,
  policy: ColumnPolicy,
  wishes: Partial<PipelineParts['wishes']>,
): Partial<PipelineParts> {
  return { ...documentsOf(world, definition, policy), wishes: { ...noWishes, ...wishes } }
}
