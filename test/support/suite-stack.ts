/**
 * The servers of a suite. Suites of one run share an Elasticsearch, one after the other: to start one takes longer than
 * many a suite. A suite that stops or kills its Elasticsearch starts a stack of its own.
 */
import { ElasticsearchServer } from '../stack/elasticsearch.ts'
import { silent } from '../stack/progress.ts'
import { isServing } from '../stack/search-node.ts'
import { startStack, type Stack, type StackOptions } from '../stack/stack.ts'
import { SearchIndex } from './search-index.ts'

/** Suites in processes that are started from now on share the server. */
export function shareElasticsearch({ version, port }: ElasticsearchServer): void {
  process.env[variable] = JSON.stringify({ version, port } satisfies Shared)
}

/** As `startStack`; `elasticsearch` is the shared one, emptied, where this run has one that serves. */
export async function startSuiteStack(options: StackOptions): Promise<Stack> {
  const shared = options.servers.includes(name) ? sharedServer() : undefined
  if (shared === undefined || !(await isServing(shared.port).catch(() => false)))
    return await startStack(options)
  await empty(shared.url)
  const stack = await startStack({ ...options, servers: options.servers.filter((each) => each !== name) })
  stack.add(name, shared)
  return stack
}

const name = 'elasticsearch'
const variable = 'SUITES_ELASTICSEARCH'

interface Shared {
  readonly version: string
  readonly port: number
}

/** A server of another process, which outlives those who use it. */
class SharedElasticsearch extends ElasticsearchServer {
  override async start(): Promise<void> {
    refuse()
  }

  override async stop(): Promise<void> {
    refuse()
  }

  override async kill(): Promise<void> {
    refuse()
  }

  override pause(): void {
    refuse()
  }

  override async [Symbol.asyncDispose](): Promise<void> {}
}

function refuse(): never {
  throw new Error('this Elasticsearch is shared with other suites: start one of your own, by startStack')
}

function sharedServer(): SharedElasticsearch | undefined {
  const text = process.env[variable]
  if (text === undefined) return undefined
  const { version, port } = JSON.parse(text) as Shared
  return new SharedElasticsearch({
    name: `${name}@${version}`,
    version,
    port,
    directory: '',
    dataDirectory: '',
    logFile: '',
    launch: { command: [], workingDirectory: '', logFile: '' },
    ready: () => isServing(port),
    report: silent,
  })
}

/** Deletes all that an earlier suite left: indexes, with their aliases and open scrolls, and templates. */
async function empty(url: string): Promise<void> {
  const server = new SearchIndex(url, '_all')
  const path = '/_cat/indices?h=index&format=json&expand_wildcards=all'
  for (const { index } of await server.ask<readonly { readonly index: string }[]>('GET', path))
    await server.ask('DELETE', `/${encodeURIComponent(index)}`)
  const { index_templates: templates } = await server.ask<Templates>('GET', '/_index_template')
  for (const template of templates)
    await server.ask('DELETE', `/_index_template/${encodeURIComponent(template.name)}`)
}

interface Templates {
  readonly index_templates: readonly { readonly name: string }[]
}
