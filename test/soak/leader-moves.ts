/** The servers of a source die in turns, under load, and take their last transactions with them in every other turn. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { SqlServer } from '../stack/sql-server.ts'
import type { Stack } from '../stack/stack.ts'
import { hasCaptured, untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { differencesOfItems } from '../support/items.ts'
import { ReplicatedPair } from '../support/replicated-pair.ts'
import { SearchIndex } from '../support/search-index.ts'
import type { Status } from '../../src/control/operations.ts'
import { createItems, Workload } from '../support/workload.ts'

export interface LeaderMoves {
  readonly moves: number
  /** Two servers of one kind, with nothing in them, by their names in the stack. */
  readonly servers: readonly [string, string]
  readonly say: (text: string) => void
}

export interface LeaderMovesResult {
  readonly moves: number
  /** Moves after which the index held what was lost, until it was undone. */
  readonly undone: number
  /** Those of them that only rows were read again for. */
  readonly byRows: number
  readonly rows: number
  readonly transactions: number
}

/** Throws where the index does not equal the table of the last leader, or where epochs do not tell what was lost. */
export async function moveLeaders(
  stack: Stack,
  { moves, servers, say }: LeaderMoves,
): Promise<LeaderMovesResult> {
  const [one, other] = servers.map((name) => stack.servers.get(name) as SqlServer)
  assert(one !== undefined && other !== undefined, 'the stack has both servers')
  const name = `moves_${one.name.replaceAll(/\W/g, '_')}`
  const table = `${name}.items`
  const pair = await ReplicatedPair.start(one, other, name)
  await usingConnection(one, (connection) => createItems(connection, table, 500))
  await pair.untilFollowed()
  const hosts = [`127.0.0.1:${other.port}`]
  await using daemon = await DaemonProcess.start({
    directory: join(stack.directory, name),
    mysqlUrl: one.cdcUrl,
    elasticsearchUrl: stack.elasticsearch.url,
    pipelines: { [name]: { table } },
    settings: { sources: { main: { url: '${MYSQL_URL}', hosts, catchUpSeconds: 6, heartbeatSeconds: 1 } } },
  })
  const connect = () => pair.connect()
  await using workload = new Workload({ connect, table, seed: 5, ids: 900, transactionsPerSecond: 80 })
  workload.start()
  await daemon.until('begin', ({ sources, pipelines }) =>
    [...sources, ...pipelines].every(({ state }) => state === 'running' || state === 'loading'),
  )
  let [undone, byRows] = [0, 0]
  for (let move = 1; move <= moves; move++) {
    const loses = move % 2 === 0
    const epoch = await epochOf(daemon)
    await (loses ? loseAndMove(pair, daemon, workload) : pair.moveInOrder())
    await untilReading(daemon, pair, loses ? epoch + 1 : epoch)
    const raised = (await epochOf(daemon)) - epoch
    assert.equal(raised, loses ? 1 : 0, `move ${move} raised the epoch by ${raised}`)
    undone += raised
    if (loses && (await readsRowsAgain(daemon, epoch + 1))) byRows++
    say(
      `move ${move} of ${moves}: the server at port ${pair.leader.port} leads${loses ? ', and lacks what was captured' : ''}`,
    )
    await pair.rejoin()
    await pair.untilFollowed()
    assert.equal(addressRead(await daemon.status()), addressOf(pair), 'nobody goes back to who comes back')
  }
  await workload.stop()
  const rows = await usingConnection(pair.leader, async (connection) => {
    await untilCaughtUp(daemon, connection)
    const index = new SearchIndex(stack.elasticsearch.url, name)
    const found = await differencesOfItems(connection, table, index)
    assert.deepEqual(found.differences.slice(0, 10), [])
    return found.rows
  })
  assert(rows > 0)
  assert.equal((await daemon.pipeline(name)).deadLetters, 0)
  assert.equal((await daemon.stop()).code, 0)
  return { moves, undone, byRows, rows, transactions: workload.transactions }
}

/** Transactions that only the leader has, and that were captured, before it dies. */
async function loseAndMove(pair: ReplicatedPair, daemon: DaemonProcess, workload: Workload): Promise<void> {
  await pair.separate()
  const before = workload.transactions
  await daemon.until('commit on the leader alone', () => workload.transactions > before + 10)
  const executed = await pair.executedOn(pair.leader)
  await daemon.until('capture what will be lost', (status) => hasCaptured(status, executed))
  await pair.move()
}

async function untilReading(daemon: DaemonProcess, pair: ReplicatedPair, epoch: number): Promise<void> {
  const executed = await pair.executedOn(pair.leader)
  const leader = addressOf(pair)
  await daemon.until(
    'go on at the new leader',
    (status) =>
      (status.sources[0]?.epoch ?? 0) >= epoch &&
      hasCaptured(status, executed) &&
      addressRead(status) === leader,
  )
}

/** Whether the rows of the changes that were lost are read again, and not every table. */
async function readsRowsAgain(daemon: DaemonProcess, epoch: number): Promise<boolean> {
  const begun = `epoch ${epoch} begins`
  const { recent } = await daemon.until(`tell that ${begun}`, (status) =>
    status.recent.some(({ what }) => what.includes(begun)),
  )
  const told = recent.find(({ what }) => what.includes(begun))?.what ?? ''
  assert.match(told, /undone: /)
  return / \d+ rows are read again/.test(told)
}

async function epochOf(daemon: DaemonProcess): Promise<number> {
  const { sources } = await daemon.status()
  return sources[0]?.epoch ?? 0
}

/** Of the server that the source reads. */
function addressRead({ sources }: Status): string | undefined {
  return sources[0]?.servers.find(({ state }) => state === 'reading')?.address
}

function addressOf({ leader }: ReplicatedPair): string {
  return `127.0.0.1:${leader.port}`
}

async function usingConnection<Result>(
  server: SqlServer,
  use: (connection: Awaited<ReturnType<SqlServer['connect']>>) => Promise<Result>,
): Promise<Result> {
  const connection = await server.connect()
  try {
    return await use(connection)
  } finally {
    connection.destroy()
  }
}
