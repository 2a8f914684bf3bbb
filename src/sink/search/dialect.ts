/** What the products and their versions say differently, all in one place. Everything else is the same for all. Pure. */
import type { FieldMapping } from './index-definition.ts'
import type { Call } from './search-client.ts'

export type Product = 'elasticsearch' | 'opensearch'

export interface Release {
  readonly product: Product
  /** undefined = it is not shown to us. */
  readonly version: Version | undefined
}

interface Version {
  readonly major: number
  readonly minor: number
}

export interface Dialect {
  readonly release: Release
  /** How a view of an index is frozen and read page by page; undefined = only by scrolling. */
  readonly pointInTime: PointInTimeCalls | undefined
  /** Whether it says what it thinks of documents without taking them, by a mapping with fields added. */
  readonly simulates: boolean
  /** A mapping in the words of this product. */
  readonly mapping: (mapping: FieldMapping) => FieldMapping
}

export interface PointInTimeCalls {
  open(index: string, keepAlive: string): Call
  close(id: string): Call
}

export function dialectOf(release: Release): Dialect {
  const words = release.product === 'opensearch' ? openWords : elasticWords
  return {
    release,
    pointInTime: pointInTimeOf(release),
    simulates: simulatesIn(release),
    mapping: (mapping) => translate(mapping, words),
  }
}

/** What the answer to `GET /` tells; undefined = something else than a search server gave it. */
export function releaseOf(text: string): Release | undefined {
  const { version = {}, tagline = '' } = infoOf(text)
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version.number ?? '') ?? []
  if (major === undefined || minor === undefined) return undefined
  const found = { major: Number(major), minor: Number(minor) }
  if (version.distribution === 'opensearch') return { product: 'opensearch', version: found }
  // One that claims to be an old Elasticsearch, for old clients, does not tell its own number.
  if (tagline.includes('OpenSearch')) return { product: 'opensearch', version: undefined }
  return { product: 'elasticsearch', version: found }
}

interface Info {
  readonly version?: { readonly number?: string; readonly distribution?: string }
  readonly tagline?: string
}

function infoOf(text: string): Info {
  try {
    return JSON.parse(text) as Info
  } catch {
    // Not JSON: a proxy, or a web server.
    return {}
  }
}

/** Why we do not talk to a release; undefined = we do. */
export function refusalOf({ product, version }: Release): string | undefined {
  if (version === undefined || product === 'opensearch') return undefined
  const tooOld = version.major < 7 || (version.major === 7 && version.minor < 17)
  return tooOld ? `Elasticsearch ${version.major}.${version.minor} is older than 7.17` : undefined
}

function pointInTimeOf({ product, version }: Release): PointInTimeCalls | undefined {
  if (product === 'elasticsearch') return elasticPointInTime
  // Before 3.3 nothing sorts the documents of a point in time but their ids, which must be loaded for that.
  const sorts = version !== undefined && (version.major > 3 || (version.major === 3 && version.minor >= 3))
  return sorts ? openPointInTime : undefined
}

/** Mappings with additions came with 8.17. */
function simulatesIn({ product, version }: Release): boolean {
  if (product !== 'elasticsearch' || version === undefined) return false
  return version.major > 8 || (version.major === 8 && version.minor >= 17)
}

const elasticPointInTime: PointInTimeCalls = {
  open: (index, keepAlive) => ({
    method: 'POST',
    path: `/${encodeURIComponent(index)}/_pit`,
    query: { keep_alive: keepAlive },
  }),
  close: (id) => ({ method: 'DELETE', path: '/_pit', body: JSON.stringify({ id }) }),
}

const openPointInTime: PointInTimeCalls = {
  open: (index, keepAlive) => ({
    method: 'POST',
    path: `/${encodeURIComponent(index)}/_search/point_in_time`,
    query: { keep_alive: keepAlive },
  }),
  close: (id) => ({
    method: 'DELETE',
    path: '/_search/point_in_time',
    body: JSON.stringify({ pit_id: [id] }),
  }),
}

/** What a type is called, and its parameters, where the other product has another word. */
interface Words {
  readonly types: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const openWords: Words = {
  types: { flattened: 'flat_object', dense_vector: 'knn_vector' },
  parameters: { dense_vector: { dims: 'dimension' } },
}

const elasticWords: Words = {
  types: { flat_object: 'flattened', knn_vector: 'dense_vector' },
  parameters: { knn_vector: { dimension: 'dims' } },
}

function translate(mapping: FieldMapping, words: Words): FieldMapping {
  const { type } = mapping
  const word = typeof type === 'string' ? words.types[type] : undefined
  const parameters = typeof type === 'string' ? words.parameters[type] : undefined
  const translated = Object.entries(mapping).map(([name, value]) => {
    if (name === 'type') return [name, word ?? value]
    if (name === 'properties' || name === 'fields') return [name, translateAll(value, words)]
    return [parameters?.[name] ?? name, value]
  })
  return Object.fromEntries(translated) as FieldMapping
}

function translateAll(mappings: unknown, words: Words): unknown {
  if (typeof mappings !== 'object' || mappings === null) return mappings
  const entries = Object.entries(mappings as Readonly<Record<string, FieldMapping>>)
  return Object.fromEntries(entries.map(([name, mapping]) => [name, translate(mapping, words)]))
}
