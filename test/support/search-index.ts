/** A search server asked directly, without the product's client: plain requests, plain answers. */

/** One index, or the alias that stands for it. */
export class SearchIndex {
  readonly server: string
  readonly name: string

  /** `server` is its URL without a trailing slash. */
  constructor(server: string, name: string) {
    this.server = server
    this.name = name
  }

  /** The answer's JSON. Throws with the answer when it is none of success. */
  async ask<Answer>(method: string, path: string, body?: object): Promise<Answer> {
    const response = await this.#send(method, path, body)
    const text = await response.text()
    if (!response.ok)
      throw new Error(`${method} ${path} was answered ${response.status}: ${text.slice(0, 500)}`)
    return JSON.parse(text) as Answer
  }

  async exists(): Promise<boolean> {
    const response = await this.#send('HEAD', `/${this.name}`)
    return response.ok
  }

  /** Documents that a search can find. */
  async count(): Promise<number> {
    const { count } = await this.ask<{ readonly count: number }>('GET', `/${this.name}/_count`)
    return count
  }

  /** The same, for who only looks: undefined = there is no index yet, or it does not serve at this moment. */
  async countIfServing(): Promise<number | undefined> {
    const response = await this.#send('GET', `/${this.name}/_count`)
    return response.ok ? ((await response.json()) as { readonly count: number }).count : undefined
  }

  /** Makes what was written findable. */
  async refresh(): Promise<void> {
    await this.ask('POST', `/${this.name}/_refresh`)
  }

  /** The document as it is now, findable or not; undefined = there is none. */
  async document(id: string): Promise<Source | undefined> {
    const response = await this.#send('GET', `/${this.name}/_doc/${encodeURIComponent(id)}?realtime=true`)
    if (response.status === 404) return undefined
    if (!response.ok) throw new Error(`document ${id} was answered ${response.status}`)
    const { _source: source } = (await response.json()) as { readonly _source: Source }
    return source
  }

  /**
   * Versions by id, of the documents that there are, findable or not; undefined = the index does not serve at this moment.
   * They are beyond 2^53: they are taken from the text.
   */
  async versionsIfServing(ids: readonly string[]): Promise<ReadonlyMap<string, bigint> | undefined> {
    const response = await this.#send('POST', `/${this.name}/_mget?_source=false`, { ids })
    const found = (await response.text()).matchAll(/"_id":"([^"]+)","_version":(\d+)/g)
    return response.ok
      ? new Map([...found].map(([, id = '', version = '']) => [id, BigInt(version)]))
      : undefined
  }

  /** How many documents were written since the index was made; 0 where there is no index yet. */
  async written(): Promise<number> {
    const path = `/${this.name}/_stats/indexing?filter_path=_all.primaries.indexing.index_total`
    const response = await this.#send('GET', path)
    if (!response.ok) return 0
    const stats = (await response.json()) as WrittenAnswer
    return stats['_all']?.primaries?.indexing?.index_total ?? 0
  }

  /** Deletes the index or, of an alias, all indexes behind it. */
  async delete(): Promise<void> {
    if (!(await this.exists())) return
    const indexes = await this.ask<Readonly<Record<string, unknown>>>('GET', `/${this.name}/_alias`)
    for (const index of Object.keys(indexes)) await this.ask('DELETE', `/${index}`)
  }

  /** Every document that a search can find, in no order. */
  async *documents(pageSize = 5000): AsyncGenerator<Document> {
    const first = { size: pageSize, sort: ['_doc'] }
    let { hits, _scroll_id: scroll } = await this.ask<ScrollAnswer>(
      'POST',
      `/${this.name}/_search?scroll=2m`,
      first,
    )
    try {
      while (hits.hits.length > 0) {
        yield* hits.hits
        const next = { scroll: '2m', scroll_id: scroll }
        ;({ hits, _scroll_id: scroll } = await this.ask<ScrollAnswer>('POST', '/_search/scroll', next))
      }
    } finally {
      await this.ask('DELETE', '/_search/scroll', { scroll_id: scroll })
    }
  }

  async #send(method: string, path: string, body?: object): Promise<Response> {
    return await fetch(`${this.server}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  }
}

export type Source = Readonly<Record<string, unknown>>

export interface Document {
  readonly _id: string
  readonly _source: Source
}

interface ScrollAnswer {
  readonly _scroll_id: string
  readonly hits: { readonly hits: readonly Document[] }
}

interface WrittenAnswer {
  readonly _all?: { readonly primaries?: { readonly indexing?: { readonly index_total?: number } } }
}
