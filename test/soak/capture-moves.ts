/** Capture moves between two processes, again and again: its leader is killed, or frozen until the other leads. */
import assert from 'node:assert/strict'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import type { DaemonProcess } from '../support/daemon-process.ts'
import { Fleet } from '../support/fleet.ts'
import { differencesOfItems } from '../support/items.ts'
import { SearchIndex } from '../support/search-index.ts'
import { changesOf } from '../support/topic-changes.ts'
import { topicChainOf } from '../support/topic-chain.ts'
import { createItems, Workload } from '../support/workload.ts'

export interface CaptureMoves {
  readonly name: string
  readonly moves: number
  readonly say: (text: string) => void
}

export interface CaptureMovesResult {
  readonly moves: number
  readonly transactions: number
  /** In the topic, each exactly once. */
  readonly changes: number
  readonly rows: number
}

/** Throws where the topic lacks a change or has one twice, or where index and table differ. */
export async function moveCapture(
  stack: Stack,
  { name, moves, say }: CaptureMoves,
): Promise<CaptureMovesResult> {
  const table = `${name}.items`
  const connection = await stack.mysql.connect()
  await using fleet = await Fleet.create(stack, { name, lanes: 4, pipelines: { [name]: { table } } })
  try {
    await createItems(connection, table, 0)
    const delivering = await fleet.start('deliver', 'deliver,control')
    const pair = [await fleet.start('one', 'capture,control'), await fleet.start('two', 'capture,control')]
    await delivering.until('run', ({ pipelines }) => pipelines[0]?.state === 'running')
    const connect = () => stack.mysql.connect()
    await using workload = new Workload({ connect, table, seed: 3, ids: 500, transactionsPerSecond: 60 })
    workload.start()
    for (let move = 1; move <= moves; move++) {
      const leading = await leaderOf(delivering, pair)
      const isFrozen = move % 2 === 0
      leading.signal(isFrozen ? 'SIGSTOP' : 'SIGKILL')
      await delivering.until('have another leader', ({ sources }) =>
        pair.some((each) => each !== leading && isLedBy(each, sources[0]?.leader)),
      )
      await untilCaptured(delivering, workload)
      say(`move ${move} of ${moves}: the leader was ${isFrozen ? 'frozen' : 'killed'}`)
      if (isFrozen) leading.signal('SIGCONT')
      else
        pair[pair.indexOf(leading)] = await fleet.start(
          leading === pair[0] ? 'one' : 'two',
          'capture,control',
        )
    }
    await workload.stop()
    await untilCaughtUp(delivering, connection)
    const changes = await changesOf(fleet.broker, `${name}.${table}`)
    const { breaks, rows } = topicChainOf(changes)
    assert.deepEqual(breaks.slice(0, 10), [])
    assert.deepEqual(countersIn([...rows.values()]), await countersOf(connection, table))
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const { differences } = await differencesOfItems(connection, table, index)
    assert.deepEqual(differences.slice(0, 10), [])
    return { moves, transactions: workload.transactions, changes: changes.length, rows: rows.size }
  } finally {
    connection.destroy()
  }
}

async function leaderOf(delivering: DaemonProcess, pair: readonly DaemonProcess[]): Promise<DaemonProcess> {
  const { sources } = await delivering.until('have a leader', (status) =>
    pair.some((each) => isLedBy(each, status.sources[0]?.leader)),
  )
  const leading = pair.find((each) => isLedBy(each, sources[0]?.leader))
  assert(leading !== undefined, 'one of them leads')
  return leading
}

function isLedBy({ pid }: DaemonProcess, leader: string | null | undefined): boolean {
  return leader?.split(':')[1] === String(pid)
}

/** Changes of the new leader are in the log. */
async function untilCaptured(delivering: DaemonProcess, workload: Workload): Promise<void> {
  const before = (await delivering.status()).sources[0]?.position
  const transactions = workload.transactions
  await delivering.until(
    'capture again',
    ({ sources }) => workload.transactions > transactions + 20 && sources[0]?.position !== before,
  )
}

async function countersOf(connection: Connection, table: string): Promise<ReadonlyMap<string, unknown>> {
  const [rows] = await connection.query<RowDataPacket[]>(`SELECT id, counter FROM ${table} ORDER BY id`)
  return countersIn(rows)
}

function countersIn(rows: readonly unknown[]): ReadonlyMap<string, unknown> {
  const all = rows as readonly { readonly id: number; readonly counter: number }[]
  return new Map(
    all.toSorted((one, other) => one.id - other.id).map(({ id, counter }) => [String(id), counter]),
  )
}
