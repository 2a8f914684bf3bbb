/** One row in a hundred is refused by the index: the rest goes at full speed, and corrected rows close their dead letters. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import type { Stack } from '../stack/stack.ts'
import { assertCount, fill, schema, secondsSince, start, untilDoneMs } from './refused-rows.ts'

export interface HostileRows {
  readonly rows: number
  readonly say: (text: string) => void
}

export interface HostileRowsResult {
  readonly rows: number
  readonly hostile: number
  /** From the start of the daemon to the last delivered change, where none is hostile and where some are. */
  readonly secondsWithout: number
  readonly secondsWith: number
  /** From the correction of all hostile rows to the last closed letter. */
  readonly secondsToClose: number
  readonly peakResidentMb: number
}

const oneIn = 100

/** Throws where another document than the hostile ones is missing, or a letter stays. */
export async function refuseSome(stack: Stack, { rows, say }: HostileRows): Promise<HostileRowsResult> {
  const connection = await stack.mysql.connect()
  try {
    await connection.query(`CREATE DATABASE ${schema}`)
    await fill(connection, 'well', { rows, hostileOneIn: 0 })
    await fill(connection, 'things', { rows, hostileOneIn: oneIn })
    const secondsWithout = await loadWell(stack, connection, { rows, say })
    return { ...(await loadThings(stack, connection, { rows, say })), secondsWithout }
  } finally {
    await connection.end()
  }
}

async function loadWell(stack: Stack, connection: Connection, { rows, say }: HostileRows): Promise<number> {
  await using daemon = await start(stack, 'well')
  await untilCaughtUp(daemon, connection, untilDoneMs)
  const seconds = secondsSince(daemon.startedAt)
  await assertCount(stack, 'well', rows)
  say(`${rows} rows of which none is hostile: ${seconds.toFixed(1)} s`)
  return seconds
}

async function loadThings(
  stack: Stack,
  connection: Connection,
  { rows, say }: HostileRows,
): Promise<Omit<HostileRowsResult, 'secondsWithout'>> {
  const hostile = Math.ceil(rows / oneIn)
  await using daemon = await start(stack, 'things')
  await untilCaughtUp(daemon, connection, untilDoneMs)
  const secondsWith = secondsSince(daemon.startedAt)
  say(`${rows} rows of which ${hostile} are hostile: ${secondsWith.toFixed(1)} s`)
  assert.equal((await daemon.pipeline('things')).deadLetters, hostile)
  await assertCount(stack, 'things', rows - hostile)
  const correctedAt = performance.now()
  await connection.query(`UPDATE ${schema}.things SET size = '1' WHERE size = 'large'`)
  await untilCaughtUp(daemon, connection, untilDoneMs)
  const secondsToClose = secondsSince(correctedAt)
  assert.equal((await daemon.pipeline('things')).deadLetters, 0)
  say(`corrected, and closed by themselves, in ${secondsToClose.toFixed(1)} s; comparing`)
  await assertCount(stack, 'things', rows)
  await assertVerified(stack)
  return { rows, hostile, secondsWith, secondsToClose, peakResidentMb: daemon.usage().peakResidentMb }
}

async function assertVerified(stack: Stack): Promise<void> {
  const directory = join(stack.directory, 'things')
  const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
  const { code, out, err } = await millrace(['verify', 'things'], directory, environment)
  assert.equal(code, 0, out + err)
}
