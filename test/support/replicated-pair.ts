/** Two servers of which one leads and the other follows; a move makes the follower lead, with or without its last news. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { containsAll, parseGtidSet } from '../../src/source/mysql/gtid/gtid-set.ts'
import type { SqlServer } from '../stack/sql-server.ts'

/** What each kind of server says for the same. */
interface Words {
  readonly follow: (leader: SqlServer) => readonly string[]
  readonly stop: string
  readonly forget: string
  readonly forgetOwn: readonly string[]
  readonly readOnly: (on: boolean) => string
  readonly executed: string
}

const words: Readonly<Record<'mysql' | 'mariadb', Words>> = {
  mysql: {
    follow: ({ host, port }) => [
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='cdc',
         SOURCE_PASSWORD='cdcpass', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1`,
      'START REPLICA',
    ],
    stop: 'STOP REPLICA',
    forget: 'RESET REPLICA ALL',
    forgetOwn: ['RESET BINARY LOGS AND GTIDS'],
    readOnly: (on) => (on ? 'SET GLOBAL super_read_only = 1' : 'SET GLOBAL read_only = 0'),
    executed: 'gtid_executed',
  },
  mariadb: {
    follow: ({ host, port }) => [
      `CHANGE MASTER TO MASTER_HOST='${host}', MASTER_PORT=${port}, MASTER_USER='cdc', MASTER_PASSWORD='cdcpass',
         MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1`,
      'START SLAVE',
    ],
    stop: 'STOP SLAVE',
    forget: 'RESET SLAVE ALL',
    forgetOwn: ['RESET MASTER', "SET GLOBAL gtid_slave_pos = ''"],
    readOnly: (on) => `SET GLOBAL read_only = ${on ? 1 : 0}`,
    executed: 'gtid_binlog_pos',
  },
}

const waitMsMax = 180_000

export class ReplicatedPair {
  #leader: SqlServer
  #follower: SqlServer
  readonly #words: Words
  readonly #schema: string
  /** Resolves when there is a leader that takes writes. */
  #led: PromiseWithResolvers<void> | undefined

  private constructor(leader: SqlServer, follower: SqlServer, schema: string) {
    this.#leader = leader
    this.#follower = follower
    this.#schema = schema
    this.#words = words[leader.name.startsWith('maria') ? 'mariadb' : 'mysql']
  }

  /** `schema` is the one that an application writes; nothing else may be written. */
  static async start(leader: SqlServer, follower: SqlServer, schema: string): Promise<ReplicatedPair> {
    const pair = new ReplicatedPair(leader, follower, schema)
    await pair.#follow()
    return pair
  }

  get leader(): SqlServer {
    return this.#leader
  }

  get follower(): SqlServer {
    return this.#follower
  }

  /** An application's way in: to the leader, once there is one. */
  async connect(): Promise<Connection> {
    await this.#led?.promise
    return await this.#leader.connect()
  }

  /** From here on the follower gets nothing: what is committed now is lost by a move. */
  async separate(): Promise<void> {
    await this.#follower.execute(this.#words.stop)
  }

  /** Until the follower has everything that the leader has now. */
  async untilFollowed(): Promise<void> {
    const goal = parseGtidSet(await this.executedOn(this.#leader))
    const has = async () => containsAll(parseGtidSet(await this.executedOn(this.#follower)), goal)
    await this.#until('follow', has)
  }

  /** As `move`, with nothing lost: the leader takes no more writes before it dies. */
  async moveInOrder(): Promise<void> {
    this.#led ??= Promise.withResolvers()
    await this.#leader.execute(this.#words.readOnly(true))
    await this.untilFollowed()
    await this.move()
  }

  /** The leader dies, and the follower leads from now on. */
  async move(): Promise<void> {
    this.#led ??= Promise.withResolvers()
    await this.#leader.kill()
    const { stop, forget, readOnly } = this.#words
    await this.#follower.execute(stop, forget, readOnly(false))
    ;[this.#leader, this.#follower] = [this.#follower, this.#leader]
    this.#led.resolve()
    this.#led = undefined
  }

  /** The one that died comes back, forgets all it had, and follows. */
  async rejoin(): Promise<void> {
    await this.#follower.start()
    // What it wrote itself would not be sent to it under its former number.
    const number = 1 + Math.floor(Math.random() * 4_000_000_000)
    await this.#follower.execute(
      `SET GLOBAL server_id = ${number}`,
      // It still looks like one that can be read: a transaction of its own would be one that no other server has.
      'SET SESSION sql_log_bin = 0',
      `DROP DATABASE IF EXISTS ${this.#schema}`,
      ...this.#words.forgetOwn,
    )
    await this.#follow()
  }

  async executedOn(server: SqlServer): Promise<string> {
    const connection = await server.connect()
    try {
      const sql = `SELECT @@global.${this.#words.executed} AS executed`
      const [[row]] = await connection.query<RowDataPacket[]>(sql)
      return String(row?.['executed']).replaceAll(/\s/g, '')
    } finally {
      await connection.end()
    }
  }

  async #follow(): Promise<void> {
    await this.#follower.execute(...this.#words.follow(this.#leader), this.#words.readOnly(true))
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const lateMs = Date.now() + waitMsMax
    while (!(await isSo())) {
      assert(Date.now() < lateMs, `the servers did not ${what} in time`)
      await delay(50)
    }
  }
}
