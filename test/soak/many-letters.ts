/** Every document of a table is refused: the letters are listed and, when the rows are right, redriven. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { untilCaughtUp } from '../support/caught-up.ts'
import { millrace } from '../support/command-process.ts'
import type { Stack } from '../stack/stack.ts'
import { assertCount, fill, schema, secondsSince, start, untilDoneMs } from './refused-rows.ts'

export interface ManyLetters {
  readonly rows: number
  readonly say: (text: string) => void
}

interface ManyLettersResult {
  readonly letters: number
  readonly secondsToList: number
  /** Until the command ends; then until the last letter is closed. */
  readonly secondsToRedrive: number
  readonly secondsToClose: number
  /** Of the daemon: with all letters, and after they were listed and redriven. */
  readonly peakResidentMb: readonly [number, number]
}

/** Throws where a letter is missing, or stays. */
export async function redriveMany(stack: Stack, { rows, say }: ManyLetters): Promise<ManyLettersResult> {
  const connection = await stack.mysql.connect()
  try {
    await connection.query(`CREATE DATABASE ${schema}`)
    await fill(connection, 'letters', { rows, hostileOneIn: 1 })
    await using daemon = await start(stack, 'letters', { delivery: { breakerCount: 100_000_000 } })
    await untilCaughtUp(daemon, connection, untilDoneMs)
    assert.equal((await daemon.pipeline('letters')).deadLetters, rows)
    say(`${rows} letters after ${secondsSince(daemon.startedAt).toFixed(1)} s`)
    const before = daemon.usage().peakResidentMb
    const secondsToList = await timed(() => command(stack, ['ls'], 1))
    await correctUnheard(connection)
    const redrivenAt = performance.now()
    const secondsToRedrive = await timed(() => command(stack, ['redrive', 'letters', '--all'], 0))
    await daemon.until('close all', ({ pipelines }) => pipelines[0]?.deadLetters === 0, untilDoneMs)
    const secondsToClose = secondsSince(redrivenAt) - secondsToRedrive
    await assertCount(stack, 'letters', rows)
    const peakResidentMb = [before, daemon.usage().peakResidentMb] as const
    return { letters: rows, secondsToList, secondsToRedrive, secondsToClose, peakResidentMb }
  } finally {
    await connection.end()
  }
}

/** The rows are put right without a word in the binlog, so that only a redrive can close the letters. */
async function correctUnheard(connection: Connection): Promise<void> {
  await connection.query('SET sql_log_bin = 0')
  await connection.query(`UPDATE ${schema}.letters SET size = '1'`)
  await connection.query('SET sql_log_bin = 1')
}

async function command(stack: Stack, words: readonly string[], expected: number): Promise<void> {
  const directory = join(stack.directory, 'letters')
  const environment = { MYSQL_URL: stack.mysql.cdcUrl, ELASTICSEARCH_URL: stack.elasticsearch.url }
  const { code, out, err } = await millrace(['dead-letters', ...words], directory, environment)
  assert.equal(code, expected, out + err)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return secondsSince(startedAt)
}
