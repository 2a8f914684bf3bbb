import { startElasticsearch, type ElasticsearchOptions, type ElasticsearchServer } from './elasticsearch.ts'
import { freePort } from './ports.ts'

/** Nodes of one cluster, each a server of its own that can be stopped, killed and started again. */
export async function startElasticsearchCluster(
  options: Omit<ElasticsearchOptions, 'docker' | 'ports'>,
  size: number,
): Promise<readonly ElasticsearchServer[]> {
  const nodes: { readonly name: string; readonly http: number; readonly transport: number }[] = []
  for (let number = 1; number <= size; number += 1)
    nodes.push({ name: `node-${number}`, http: await freePort(), transport: await freePort() })
  const common = {
    'cluster.name': `millrace-${nodes[0]?.http}`,
    'discovery.type': 'multi-node',
    'discovery.seed_hosts': nodes.map(({ transport }) => `127.0.0.1:${transport}`).join(','),
    'cluster.initial_master_nodes': nodes.map(({ name }) => name).join(','),
  }
  const starts = nodes.map(({ name, http, transport }) =>
    startElasticsearch({
      ...options,
      ports: { http, transport },
      settings: { ...common, 'node.name': name, ...options.settings },
    }),
  )
  const results = await Promise.allSettled(starts)
  const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  for (const result of results) {
    if (result.status === 'fulfilled') continue
    for (const server of started) await server[Symbol.asyncDispose]()
    throw result.reason
  }
  return started
}
