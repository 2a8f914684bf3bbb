/** One row that very many documents show changes every second, while others change that are to stay fresh. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { percentile } from '../bench/statistics.ts'
import type { Stack } from '../stack/stack.ts'
import { untilCaughtUp } from '../support/caught-up.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'
import { createShop, differencesOfShop, shopPipeline } from '../support/shop.ts'

export interface HotParent {
  /** Documents that show the row. */
  readonly roots: number
  readonly seconds: number
  readonly say: (text: string) => void
}

export interface HotParentResult {
  readonly roots: number
  /** How often the row changed. */
  readonly updates: number
  /** Of changes of other rows, from their commit until the document that shows them can be read, ms. */
  readonly samples: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** After the last change of the row, until all documents showed it, s. */
  readonly settledSeconds: number
  readonly peakResidentMb: number
  /** That the daemon sent, and the most values that one of them named. */
  readonly statements: number
  readonly valuesMax: number
}

const schema = 'hot'
const firstRoot = 1000
/** Customers with one order each, under the same number. */
const quiet = Array.from({ length: 10 }, (_, at) => 900 + at)
const bounds = { p99Ms: 1000, peakResidentMb: 300, valuesMax: 2100 }

/** Says its figures; throws where a bound did not hold, or documents differ from what the database would build. */
export async function heatParent(stack: Stack, { roots, seconds, say }: HotParent): Promise<HotParentResult> {
  const connection = await stack.mysql.connect()
  try {
    await fill(connection, roots)
    await using daemon = await DaemonProcess.start({
      directory: join(stack.directory, schema),
      mysqlUrl: stack.mysql.cdcUrl,
      elasticsearchUrl: stack.elasticsearch.url,
      pipelines: { [schema]: shopPipeline(schema) },
    })
    await untilCaughtUp(daemon, connection, 600_000)
    say(`${roots} documents are loaded`)
    await connection.query("SET GLOBAL log_output = 'TABLE'")
    await connection.query('SET GLOBAL general_log = ON')
    const index = new SearchIndex(stack.elasticsearch.url, schema)
    const heat = await Heat.start(stack)
    const delays = await measured({ connection, index, seconds, say })
    const updates = await heat.stop()
    const endedAt = performance.now()
    await untilCaughtUp(daemon, connection, 600_000)
    const settledSeconds = (performance.now() - endedAt) / 1000
    await connection.query('SET GLOBAL general_log = OFF')
    const result = {
      roots,
      updates,
      samples: delays.length,
      p50Ms: Math.round(percentile(delays, 50)),
      p99Ms: Math.round(percentile(delays, 99)),
      settledSeconds: Math.round(settledSeconds),
      peakResidentMb: Math.round(daemon.usage().peakResidentMb),
      ...(await asked(connection)),
    }
    say(JSON.stringify(result))
    const { differences } = await differencesOfShop(connection, { schema }, index)
    assert.deepEqual(differences.slice(0, 5), [])
    for (const [name, most] of Object.entries(bounds))
      assert(result[name as keyof typeof bounds] < most, `${name} is to be below ${most}`)
    return result
  } finally {
    connection.destroy()
  }
}

async function fill(connection: Connection, roots: number): Promise<void> {
  await createShop(connection, schema, 10)
  for (let from = firstRoot; from < firstRoot + roots; from += 1000) {
    const count = Math.min(1000, firstRoot + roots - from)
    const rows = Array.from({ length: count }, (_, at) => [from + at, 1, 'open', null])
    await connection.query(`INSERT INTO ${schema}.orders VALUES ?`, [rows])
  }
  await connection.query(`INSERT INTO ${schema}.customers VALUES ?`, [quiet.map((id) => [id, 'quiet', null])])
  await connection.query(`INSERT INTO ${schema}.orders VALUES ?`, [quiet.map((id) => [id, id, 'open', null])])
}

/** Changes the row once a second. */
class Heat {
  readonly #stopped = new AbortController()
  readonly #changing: Promise<number>

  private constructor(connection: Connection) {
    this.#changing = this.#change(connection)
  }

  static async start(stack: Stack): Promise<Heat> {
    return new Heat(await stack.mysql.connect())
  }

  /** Resolves with how often the row was changed. */
  async stop(): Promise<number> {
    this.#stopped.abort()
    return await this.#changing
  }

  async #change(connection: Connection): Promise<number> {
    let updates = 0
    try {
      while (!this.#stopped.signal.aborted) {
        await connection.query(`UPDATE ${schema}.customers SET name = 'hot ${updates++}' WHERE id = 1`)
        await delay(1000, undefined, { signal: this.#stopped.signal }).catch(() => undefined)
      }
      return updates
    } finally {
      connection.destroy()
    }
  }
}

interface Measuring extends Pick<HotParent, 'seconds' | 'say'> {
  readonly connection: Connection
  readonly index: SearchIndex
}

/** How long each change took to its document, ms: of joined rows and of the documents' own rows in turn. */
async function measured({ connection, index, seconds, say }: Measuring): Promise<readonly number[]> {
  const delays: number[] = []
  const endMs = performance.now() + seconds * 1000
  for (let count = 0; performance.now() < endMs; count++) {
    const id = quiet[count % quiet.length] ?? 0
    const text = `number ${count}!`
    const sql =
      count % 2 === 0
        ? `UPDATE ${schema}.customers SET name = ? WHERE id = ?`
        : `UPDATE ${schema}.orders SET note = ? WHERE id = ?`
    await connection.query(sql, [text, id])
    const committedAt = performance.now()
    while (!JSON.stringify(await index.document(String(id))).includes(text)) {
      assert(performance.now() - committedAt < giveUpMs, `document ${id} does not show ${text}`)
      await delay(pollEveryMs)
    }
    delays.push(performance.now() - committedAt)
    if (count % 100 === 99)
      say(`${count + 1} changes of others, the slowest ${Math.max(...delays).toFixed(0)} ms`)
    await delay(pauseMs)
  }
  return delays
}

const giveUpMs = 120_000
const pollEveryMs = 5
const pauseMs = 50

/** What the server's log of queries has of the daemon's reads. */
async function asked(connection: Connection): Promise<Pick<HotParentResult, 'statements' | 'valuesMax'>> {
  const [[found]] = await connection.query<RowDataPacket[]>(
    `SELECT COUNT(*) AS statements_seen, MAX(LENGTH(argument) - LENGTH(REPLACE(argument, ',', ''))) AS values_max
     FROM mysql.general_log
     WHERE argument LIKE CONCAT('SELECT %FROM \`', ?, '\`%') AND argument NOT LIKE '%JSON_OBJECT%'`,
    [schema],
  )
  return { statements: Number(found?.['statements_seen']), valuesMax: Number(found?.['values_max']) }
}
