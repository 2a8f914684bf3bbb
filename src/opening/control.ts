/** The control server of a daemon, and where others find it. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Configuration } from '../config/load.ts'
import type { Operations } from '../control/operations.ts'
import { startControl, type ControlServer } from '../control/server.ts'

export class ControlDoor {
  readonly #configuration: Configuration
  readonly #operations: Operations
  readonly #addressFile: string
  #server: Promise<ControlServer> | undefined

  /** Closed, until it is opened. `first` answers until others do. */
  constructor(configuration: Configuration, first: Operations) {
    this.#configuration = configuration
    this.#operations = { ...first }
    this.#addressFile = join(configuration.settings.state, 'control.json')
  }

  /**
   * With a note in the state folder of where it listens; nothing happens where that is not one of our roles, or it is open.
   * Throws a Failure of kind `configuration` when the address cannot be listened on.
   */
  async open(): Promise<void> {
    if (!this.#configuration.settings.roles.includes('control')) return
    this.#server ??= this.#start()
    await this.#server
  }

  /** Opened, and what is asked from now on is asked of these. */
  async answerBy(operations: Operations): Promise<void> {
    Object.assign(this.#operations, operations)
    await this.open()
  }

  async close(): Promise<void> {
    // Who could not open it has been told.
    const server = await this.#server?.catch(() => undefined)
    if (server === undefined) return
    await rm(this.#addressFile, { force: true })
    await server.close()
  }

  async #start(): Promise<ControlServer> {
    const { settings, redact } = this.#configuration
    const server = await startControl({ ...settings.control, operations: this.#operations, redact })
    const { host, port } = server
    await writeFile(this.#addressFile, JSON.stringify({ host, port, pid: process.pid }))
    return server
  }
}
