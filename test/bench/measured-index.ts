/** When an index got its first document and when all are findable: looked at from outside, the same for every writer. */
import { setTimeout as delay } from 'node:timers/promises'
import type { DaemonProcess } from '../support/daemon-process.ts'
import { SearchIndex } from '../support/search-index.ts'

/** Resolves with the time, by `performance.now()`, at which the first document was seen to be acknowledged. */
export async function firstWritten(index: SearchIndex, signal: AbortSignal): Promise<number> {
  while ((await index.written()) === 0) {
    signal.throwIfAborted()
    await delay(firstIntervalMs)
  }
  return performance.now()
}

/** Resolves with the time, by `performance.now()`, at which a search found so many documents. */
export async function allSearchable(
  index: SearchIndex,
  documents: number,
  signal: AbortSignal,
  onProgress: (written: number) => void,
): Promise<number> {
  for (;;) {
    const written = await index.written()
    onProgress(written)
    if (written >= documents) {
      await index.refresh()
      if ((await index.count()) >= documents) return performance.now()
    }
    signal.throwIfAborted()
    await delay(lastIntervalMs)
  }
}

/** Waiting for what a daemon does ends when it ends. */
export function abortWhenEnded(daemon: DaemonProcess): AbortSignal {
  const ended = new AbortController()
  void daemon.exited.then(() => ended.abort(new Error(`the daemon ended\n${daemon.outputTail()}`)))
  return ended.signal
}

/** How another index is made like the one that the daemon made; its alias is for the caller to add. */
export async function madeIndex(index: SearchIndex): Promise<MadeIndex> {
  const made = await index.ask<Readonly<Record<string, MadeIndex>>>('GET', `/${index.name}`)
  const [found] = Object.values(made)
  if (found === undefined) throw new Error('the daemon made no index')
  const {
    uuid: _uuid,
    creation_date: _date,
    provided_name: _name,
    version: _version,
    ...kept
  } = found.settings.index
  return { mappings: found.mappings, settings: { index: kept } }
}

export interface MadeIndex {
  readonly mappings: object
  readonly settings: { readonly index: Readonly<Record<string, unknown>> }
}

/** Writes documents to an index of its own and throws it away, so that the server's code is compiled. */
export async function warm(
  server: string,
  documents: number,
  documentOf: (number: number) => object,
): Promise<void> {
  const index = new SearchIndex(server, 'warm-up')
  await index.delete()
  await index.ask('PUT', `/${index.name}`, { settings: { number_of_shards: 1, number_of_replicas: 0 } })
  const perRequest = 5000
  for (let from = 1; from <= documents; from += perRequest) {
    let lines = ''
    for (let number = from; number < Math.min(documents + 1, from + perRequest); number++) {
      lines += `{"index":{"_id":"${number}"}}\n${JSON.stringify(documentOf(number))}\n`
    }
    const answer = await fetch(`${server}/${index.name}/_bulk?filter_path=errors`, {
      method: 'POST',
      body: lines,
      headers: { 'content-type': 'application/x-ndjson' },
    })
    const text = await answer.text()
    if (text !== '{"errors":false}') throw new Error(`the warm-up was answered ${text.slice(0, 500)}`)
  }
  await index.refresh()
  await index.delete()
}

const firstIntervalMs = 10
const lastIntervalMs = 100
