/** What brokers are set to, for whoever looks whether the log can work there. */
import { Client } from './client.ts'
import type { ClientSettings } from './connections.ts'
import { ConfigResourceTypes, describeConfigsV4 } from './library.ts'
import { namesOf } from './names.ts'

export interface BrokerSettings {
  readonly brokers: number
  /** Of one of them, by name; a setting that its release does not know is missing. */
  readonly settings: ReadonlyMap<string, string>
  /** The topics of the log that are there. */
  readonly topics: readonly TopicSettings[]
}

export interface TopicSettings {
  readonly name: string
  readonly replication: number
  readonly settings: ReadonlyMap<string, string>
}

/** Throws a Failure where no broker answers, or they do not show it to us. */
export async function readBrokerSettings(
  settings: ClientSettings,
  {
    prefix,
    source,
    tables,
  }: { readonly prefix: string; readonly source: string; readonly tables: readonly string[] },
): Promise<BrokerSettings> {
  const client = new Client(settings)
  try {
    const nodes = await client.nodes()
    const names = namesOf(prefix, source)
    const topics = await client.topics([names.control, names.work, ...tables.map(names.table)])
    const found: TopicSettings[] = []
    for (const { name, replication } of topics.values())
      found.push({ name, replication, settings: await described(client, 'TOPIC', name) })
    const [node] = nodes
    const own =
      node === undefined ? new Map<string, string>() : await described(client, 'BROKER', String(node))
    return { brokers: nodes.length, settings: own, topics: found }
  } finally {
    await client.close()
  }
}

async function described(
  client: Client,
  kind: 'TOPIC' | 'BROKER',
  name: string,
): Promise<ReadonlyMap<string, string>> {
  const doing = `reading the settings of ${kind === 'TOPIC' ? name : `broker ${name}`}`
  const wanted = [{ resourceType: ConfigResourceTypes[kind], resourceName: name, configurationKeys: null }]
  const { api } = describeConfigsV4
  // What a broker is set to, it tells alone.
  const { results } =
    kind === 'BROKER'
      ? await client.call(Number(name), doing, api, wanted, false, false)
      : await client.callAny(doing, api, wanted, false, false)
  const known = new Map<string, string>()
  for (const { name: setting, value } of results.flatMap(({ configs }) => configs))
    if (typeof value === 'string') known.set(setting, value)
  return known
}
