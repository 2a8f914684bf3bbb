import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { Failure } from '../../../src/change/failure.ts'
import { refreshPipelines, refreshSchedules } from '../../../src/serving/refresh.ts'
import { Process, table, World } from '../../support/one-pipeline.ts'

const items: Pipeline = {
  name: 'items',
  label: 'items',
  origin: 'items.yaml',
  source: 'main',
  definition: { table, fields: undefined, exclude: [], where: [], id: undefined, idPrefix: '' },
  key: undefined,
  enrich: [
    { field: 'f', upstream: 'weather', parameters: { id: ['id'] }, onFailure: 'stop', missing: 'null' },
  ],
  refresh: { pattern: '* * * * *', timezone: 'UTC', rowsPerSecond: undefined },
  transform: undefined,
  target: {
    name: 'main',
    ofTasks: undefined,
    metadata: false,
    isPrimary: true,
    family: undefined,
    index: 'items',
    adopt: false,
    settings: {},
    mappings: {},
  },
  policy: {
    start: { kind: 'load' },
    batchAgeMs: undefined,
    freshnessSeconds: 0,
    ddl: 'auto',
    canary: undefined,
    onLost: 'stop',
    alerts: [],
  },
}

async function running() {
  const world = new World()
  world.insert(1, 'row 1')
  const process = new Process(world).start()
  await world.clock.until(process.facts.until('load-finished'))
  const described = { table: world.database.definition(table), rowsEstimate: 1, excluded: [] }
  const source = { describe: () => Promise.resolve(described) }
  return { world, process, source: { name: 'main', source, capture: process.capture } }
}

test('a schedule refreshes at its time, again and again, and what could not be begun is made up for', async () => {
  const { world, process, source } = await running()
  const stop = new AbortController()
  const { observe } = process.facts
  const [schedule] = refreshSchedules([items], { ...source, clock: world.clock, observe })
  const keeping = schedule?.(stop.signal).catch(() => undefined)
  const loads = (): number => process.facts.of('load-finished').length
  await world.clock.advance(50_000)
  assert.equal(loads(), 1, 'the minute is not over yet')
  await world.clock.advance(20_000)
  assert.equal(loads(), 2)
  await world.clock.advance(60_000)
  assert.equal(loads(), 3)
  stop.abort()
  await keeping
  await process.end()
})

test('a refresh that cannot be begun is tried again, or at the next time, and ends nothing that runs beside it', async () => {
  const { world, process, source } = await running()
  const stop = new AbortController()
  const { observe } = process.facts
  const failures = [new Failure('configuration', 'no such table'), new Failure('transient', 'away')]
  const describe = async () => {
    const failure = failures.shift()
    if (failure !== undefined) throw failure
    return await source.source.describe()
  }
  const failing = { ...source, source: { describe }, clock: world.clock, observe }
  const [schedule] = refreshSchedules([items], failing)
  const keeping = schedule?.(stop.signal).catch(() => undefined)
  const loads = (): number => process.facts.of('load-finished').length
  await world.clock.advance(70_000)
  assert.equal(loads(), 1)
  const [told] = process.facts.of('restarting')
  assert.match(`${told?.part}: ${told?.failure.message}`, /the schedule of items: no such table/)
  assert(told !== undefined && told.waitMs > 50_000 && told.waitMs <= 60_000)
  await world.clock.advance(60_000)
  assert.equal(loads(), 2, 'what passes by itself is waited for')
  stop.abort()
  await keeping
  await process.end()
})

test('those who ask the upstream are meant, and a name that nobody bears is refused with who asks whom', async () => {
  const { world, process, source } = await running()
  const other: Pipeline = { ...items, name: 'other', label: 'other', enrich: [] }
  const ask = (request: Parameters<typeof refreshPipelines>[2]) =>
    world.clock.until(refreshPipelines([items, other], [source], request, world.clock))
  assert.deepEqual(await ask({ upstream: 'weather' }), { groups: ['items@main'], busy: [] })
  assert.deepEqual(await ask({ pipeline: 'items' }), { groups: [], busy: ['items@main'] })
  for (const request of [{ pipeline: 'other' }, { upstream: 'tides' }])
    await assert.rejects(
      ask(request),
      (error) => error instanceof Failure && error.remedy?.includes('items (weather)') === true,
    )
  await process.end()
})
