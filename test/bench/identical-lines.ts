/**
 * The lines that a daemon sends for rows that wait, kept once, and sent again by nothing but open connections: the least
 * that any program must do to write the same documents.
 */
import { BulkProxy } from '../support/bulk-proxy.ts'
import type { DaemonProcess } from '../support/daemon-process.ts'
import { referenceIndex, type Checksum } from '../support/reference-table.ts'
import { SearchIndex } from '../support/search-index.ts'
import { bareRate } from './bare-rate.ts'
import type { CapturedBodies } from './captured-bodies.ts'
import { abortWhenEnded, allSearchable, madeIndex, type MadeIndex } from './measured-index.ts'
import { say, sayProgress } from './progress-line.ts'

/** How the daemon made its index, which request it sends, and the lines of all of them. */
export interface IdenticalLines {
  readonly path: string
  readonly index: MadeIndex
  readonly captured: CapturedBodies
}

export const bareBodyBytes = 5_000_000

/** One run that is not measured, through a proxy that keeps the lines. Throws where they are not the rows of the table. */
export async function keepLines(
  server: string,
  table: Checksum,
  captured: CapturedBodies,
  start: (server: string) => DaemonProcess,
): Promise<IdenticalLines> {
  const index = new SearchIndex(server, referenceIndex)
  await index.delete()
  let path = ''
  await using proxy = await BulkProxy.start(server, (exchange) => {
    path = exchange.path
    if (exchange.status === 200) captured.add(exchange.body)
  })
  await using daemon = start(proxy.url)
  const progress = sayProgress('documents of the run that keeps the lines', table.count)
  await allSearchable(index, table.count, abortWhenEnded(daemon), progress)
  checkKept(captured, table)
  return { path, index: await madeIndex(index), captured }
}

function checkKept(captured: CapturedBodies, table: Checksum): void {
  const { count, sum } = captured.checksum()
  if (count !== table.count || sum !== table.sum) {
    throw new Error(`the daemon sent ${count} documents that are not the ${table.count} rows of the table`)
  }
  say(`the lines are ${(captured.bytes / 1e6).toFixed(0)} MB and show every row exactly once`)
}

/** Sends the lines into a fresh index like the daemon's; documents a second, from the first to the last findable. */
export async function measureBare(
  server: string,
  { path, index: definition, captured }: IdenticalLines,
): Promise<number> {
  const index = new SearchIndex(server, referenceIndex)
  await index.delete()
  return await bareRate({ index, definition, path, captured, documents: captured.documents })
}
