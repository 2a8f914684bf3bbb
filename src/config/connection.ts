/** What the settings say of a server, taken apart. */
import { Failure } from '../change/failure.ts'
import type { CacheSettings, SourceSettings, StoreSettings, TargetSettings } from './schema.ts'

export interface SourceConnection {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

/** Host, port and user of a source. Throws a Failure of kind `configuration` for a URL that is none. */
export function sourceConnection(
  source: Pick<SourceSettings, 'url' | 'user' | 'password'>,
): SourceConnection {
  const url = parseUrl(source.url ?? '', 'mysql://user:password@host:3306/')
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 3306 : Number(url.port),
    user: url.username === '' ? (source.user ?? 'root') : decode(url.username),
    password: url.password === '' ? (source.password ?? '') : decode(url.password),
  }
}

/** The same of a store, with its schema. Throws a Failure of kind `configuration` for a URL that names none. */
export function storeConnection({
  url = '',
  user,
  password,
}: Pick<StoreSettings, 'url' | 'user' | 'password'>): SourceConnection & { readonly schema: string } {
  const example = 'mysql://user:password@host:3306/millrace'
  const schema = decode(parseUrl(url, example).pathname.slice(1))
  if (!/^[^/`]+$/.test(schema))
    throw new Failure('configuration', 'store.url names no schema', { remedy: `write it as ${example}` })
  const login = { ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) }
  return { ...sourceConnection({ url, ...login }), schema }
}

export interface CacheConnection {
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: number
}

/** The same of a cache. Throws a Failure of kind `configuration` for a URL that is none. */
export function cacheConnection({
  url = '',
  user,
  password,
}: Pick<CacheSettings, 'url' | 'user' | 'password'>): CacheConnection {
  const example = 'redis://user:password@host:6379/0'
  const parsed = parseUrl(url, example)
  const database = Number(parsed.pathname.slice(1))
  if (!Number.isInteger(database))
    throw new Failure('configuration', 'the database in cache.url is no number', {
      remedy: `write it as ${example}`,
    })
  return {
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    user: parsed.username === '' ? user : decode(parsed.username),
    password: parsed.password === '' ? password : decode(parsed.password),
    database,
  }
}

export type TargetAuth =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'apiKey'; readonly apiKey: string }
  | { readonly kind: 'bearer'; readonly bearer: string }
  | {
      readonly kind: 'aws'
      readonly region: string
      readonly service: 'es' | 'aoss'
      readonly accessKeyId: string
      readonly secretAccessKey: string
      readonly sessionToken: string | undefined
    }

export interface TargetConnection {
  /** URLs without user or password. */
  readonly nodes: readonly string[]
  readonly auth: TargetAuth
}

/** Nodes and identity for a target. Throws a Failure of kind `configuration` for a URL that is none. */
export function targetConnection(target: Pick<TargetSettings, 'url' | 'auth'>): TargetConnection {
  const urls = target.url.map((url) => parseUrl(url, 'https://host:9200'))
  const named = urls.find((url) => url.username !== '')
  return { nodes: urls.map(withoutUser), auth: authOf(target.auth, named) }
}

function withoutUser(url: URL): string {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return bare.href.replace(/\/$/, '')
}

function authOf(auth: TargetSettings['auth'], url: URL | undefined): TargetAuth {
  if (auth.aws.region !== undefined) return awsOf(auth.aws, auth.aws.region)
  if (auth.apiKey !== undefined) return { kind: 'apiKey', apiKey: auth.apiKey }
  if (auth.bearer !== undefined) return { kind: 'bearer', bearer: auth.bearer }
  if (auth.username !== undefined) {
    return { kind: 'basic', username: auth.username, password: auth.password ?? '' }
  }
  if (url === undefined) return { kind: 'none' }
  return { kind: 'basic', username: decode(url.username), password: decode(url.password) }
}

function awsOf(aws: TargetSettings['auth']['aws'], region: string): TargetAuth {
  const { service, accessKeyId, secretAccessKey, sessionToken } = aws
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new Failure('configuration', 'auth.aws names no access key', {
      remedy: 'give accessKeyId and secretAccessKey, from the environment or from files',
    })
  return { kind: 'aws', region, service, accessKeyId, secretAccessKey, sessionToken }
}

function parseUrl(text: string, example: string): URL {
  const url = URL.parse(text)
  if (url === null || url.hostname === '') {
    throw new Failure('configuration', 'a URL in the settings cannot be understood', {
      remedy: `write it as ${example}; special characters in the password are percent-encoded`,
    })
  }
  return url
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new Failure('configuration', 'the user or password in a URL has a stray percent sign', {
      remedy: 'write it as %25',
      cause,
    })
  }
}
