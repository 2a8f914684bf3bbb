import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Key, Table } from '../../../../src/change/change.ts'
import { packRecords } from '../../../../src/change/records.ts'
import { Entries } from '../../../../src/log/log.ts'
import { tasksApart, tellingTasks } from '../../../../src/pipeline/delivery/tasks-apart.ts'
import type { Operation, Operations, Outcome, Sink } from '../../../../src/sink/sink.ts'

const never = new AbortController().signal
const table: Table = { name: 'shop.items', columns: [], key: [] }

function operation(id: number): Operation {
  return { op: 'delete', id: String(id), version: 1n, routing: undefined, repeatable: true, body: undefined }
}

/** Answers that name the way and the document. */
class Way implements Sink {
  readonly name: string
  readonly requests: string[][] = []

  constructor(name: string) {
    this.name = name
  }

  async write(listed: Operations): Promise<readonly Outcome[]> {
    const operations = [...listed]
    this.requests.push(operations.map(({ id }) => id))
    return await Promise.resolve(
      operations.map(({ id }): Outcome => ({ kind: 'busy', reason: `${this.name} ${id}` })),
    )
  }
}

async function toldApart(commits: readonly number[]): Promise<readonly Operation[]> {
  const changes = commits.map((committedAtMs, id): Change => {
    const common = { table, key: `[${id}]` as Key, before: undefined, after: undefined, committedAtMs }
    return { ...common, op: 'touch' }
  })
  const entries = Entries.all(packRecords(changes), { offset: 0, version: 1n })
  const enrich = tellingTasks(() =>
    Promise.resolve(commits.map((_, at) => ({ at, operation: operation(at) }))),
  )
  return Array.from(await enrich(entries, never), (work) => work.operation)
}

test('what no commit asked for goes the way of tasks, and each operation gets the answer of its own way', async () => {
  const [live, tasks] = [new Way('live'), new Way('task')]
  const outcomes = await tasksApart(live, tasks).write(await toldApart([0, 5, 0, 7, 8]), never)
  assert.deepEqual([live.requests, tasks.requests], [[['1', '3', '4']], [['0', '2']]])
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.kind === 'busy' ? outcome.reason : '')),
    ['task 0', 'live 1', 'task 2', 'live 3', 'live 4'],
  )
})

test('where there is one kind alone, the other way is left in peace', async () => {
  const [live, tasks] = [new Way('live'), new Way('task')]
  const sink = tasksApart(live, tasks)
  await sink.write(await toldApart([0, 0]), never)
  await sink.write(await toldApart([3]), never)
  assert.deepEqual([live.requests, tasks.requests], [[['0']], [['0', '1']]])
})

test('where one way fails the request fails, when the other has ended', async () => {
  const held = Promise.withResolvers<readonly Outcome[]>()
  const failing: Sink = { write: () => Promise.reject(new Error('away')) }
  const slow: Sink = { write: () => held.promise }
  let isOver = false
  const writing = tasksApart(slow, failing)
    .write(await toldApart([0, 1]), never)
    .finally(() => (isOver = true))
  const failed = assert.rejects(writing, /away/)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isOver, false)
  held.resolve([{ kind: 'applied' }])
  await failed
})
