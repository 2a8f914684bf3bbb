/** The rate of the least that a program must do, measured as that of the daemon is. */
import type { SearchIndex } from '../support/search-index.ts'
import { sendBare } from './bare-bulk.ts'
import type { CapturedBodies } from './captured-bodies.ts'
import { allSearchable, firstWritten, type MadeIndex } from './measured-index.ts'
import { sayProgress } from './progress-line.ts'
import { rounded } from './statistics.ts'

export interface BareRun {
  /** An alias that is free; the index behind it is made. */
  readonly index: SearchIndex
  readonly definition: MadeIndex
  /** Of the requests, with its query. */
  readonly path: string
  readonly captured: CapturedBodies
  readonly documents: number
}

/** Documents a second, from the first that is acknowledged to the last that a search finds. */
export async function bareRate({ index, definition, path, captured, documents }: BareRun): Promise<number> {
  const { server, name } = index
  await index.ask('PUT', `/${name}-bare`, { ...definition, aliases: { [name]: {} } })
  const failed = new AbortController()
  const sent = sendBare({ server, path, bodies: captured.bodies(), inFlight: 2 })
  sent.catch((failure: unknown) => failed.abort(failure))
  const first = await firstWritten(index, failed.signal)
  const last = await allSearchable(
    index,
    documents,
    failed.signal,
    sayProgress(`documents of bare, ${name}`, documents),
  )
  await sent
  return rounded((documents * 1000) / (last - first), 0)
}
