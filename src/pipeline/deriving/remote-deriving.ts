/** What derives a pipeline's work, as who delivers sees it from another process: it runs where the source is captured. */
import type { LogAdmin } from '../../log/log.ts'
import type { Clock } from '../clock.ts'
import { derivingFailure, derivingGroup, type Deriving } from './deriving.ts'
import type { RemoteCapture } from '../capture/remote-capture.ts'

/** What delivery needs of it. */
export type Derived = Pick<Deriving, 'define' | 'fit'>

export interface RemoteDerivingParts {
  readonly pipeline: string
  readonly capture: Pick<RemoteCapture, 'derive'>
  readonly log: Pick<LogAdmin, 'groups'>
  readonly clock: Clock
}

const lookEveryMs = 1000

export class RemoteDeriving implements Derived {
  readonly #parts: RemoteDerivingParts

  constructor(parts: RemoteDerivingParts) {
    this.#parts = parts
  }

  async define(): Promise<void> {
    await this.#parts.capture.derive(this.#parts.pipeline)
  }

  async fit(signal: AbortSignal): Promise<void> {
    const { pipeline, log, clock } = this.#parts
    for (;;) {
      const group = (await log.groups()).find(({ name }) => name === derivingGroup(pipeline))
      const failure = group === undefined ? undefined : derivingFailure(group)
      if (failure !== undefined) throw failure
      await clock.sleep(lookEveryMs, signal)
    }
  }
}
