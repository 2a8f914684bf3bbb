/** What doctor looks at besides the source: targets and the state folder. */
import { constants } from 'node:fs'
import { access, mkdir, statfs } from 'node:fs/promises'
import { explain, Failure } from '../change/failure.ts'
import { refusalOf, releaseOf } from '../sink/search/dialect.ts'
import type { SearchClient } from '../sink/search/search-client.ts'
import type { Service } from '../sink/service/service.ts'
import type { Finding } from '../source/source.ts'

const gigabyte = 2 ** 30
const timeoutMs = 10_000

export async function examineSearch(
  client: SearchClient,
  target: { readonly name: string; readonly alias: string },
): Promise<readonly Finding[]> {
  const fact = `target ${target.name}`
  const ask = async (path: string): Promise<{ status: number; text: string }> =>
    await client.send({ method: 'GET', path }, AbortSignal.timeout(timeoutMs))
  try {
    const info = await ask('/')
    if (info.status === 401 || info.status === 403) return [refused(fact, info.status)]
    if (info.status !== 200) return [{ level: 'fatal', fact, found: `answers ${info.status}` }]
    return [versionFinding(fact, info.text), await healthFinding(fact, ask), await aliasFinding(target, ask)]
  } catch (error) {
    return [
      {
        level: 'fatal',
        fact,
        found: explain(error),
        remedies: { mysql: 'start the target, or correct its URL in the settings' },
      },
    ]
  }
}

/** How many nodes hold documents; undefined = the cluster does not say, or cannot be asked. */
export async function dataNodesOf(client: SearchClient): Promise<number | undefined> {
  const query = { filter_path: 'number_of_data_nodes' }
  try {
    const call = { method: 'GET', path: '/_cluster/health', query } as const
    const { status, text } = await client.send(call, AbortSignal.timeout(timeoutMs))
    if (status !== 200) return undefined
    return (JSON.parse(text) as { readonly number_of_data_nodes?: number }).number_of_data_nodes
  } catch (error) {
    if (error instanceof Failure) return undefined
    throw error
  }
}

export async function examineService(
  service: Pick<Service, 'mark'>,
  target: { readonly name: string; readonly index: string },
): Promise<readonly Finding[]> {
  const fact = `target ${target.name}`
  try {
    const mark = await service.mark(target.index)
    const marks = mark === 'unkept' ? 'keeps no marks: they stay with us' : 'keeps our marks'
    return [{ level: 'ok', fact, found: `answers, ${marks}` }]
  } catch (error) {
    const remedy = (error instanceof Failure ? error.remedy : undefined) ?? 'start the service'
    return [{ level: 'fatal', fact, found: explain(error), remedies: { mysql: remedy } }]
  }
}

function refused(fact: string, status: number): Finding {
  const remedy = 'correct targets.*.auth: the user needs monitor on the cluster and all on the index'
  return { level: 'fatal', fact, found: `refuses our credentials (${status})`, remedies: { mysql: remedy } }
}

function versionFinding(fact: string, text: string): Finding {
  const release = releaseOf(text)
  if (release === undefined) return { level: 'fatal', fact, found: 'is no search server' }
  const { product, version } = release
  const name = product === 'opensearch' ? 'OpenSearch' : 'Elasticsearch'
  const number = version === undefined ? 'of an unknown version' : `${version.major}.${version.minor}`
  const refusal = refusalOf(release)
  return { level: refusal === undefined ? 'ok' : 'fatal', fact, found: refusal ?? `${name} ${number}` }
}

async function healthFinding(fact: string, ask: Ask): Promise<Finding> {
  const { status, text } = await ask('/_cluster/health')
  if (status !== 200)
    return { level: 'warning', fact: `${fact} health`, found: `not shown to us (${status})` }
  const health = (JSON.parse(text) as { status: string }).status
  return { level: health === 'red' ? 'warning' : 'ok', fact: `${fact} health`, found: health }
}

async function aliasFinding({ alias }: { readonly alias: string }, ask: Ask): Promise<Finding> {
  const { status } = await ask(`/${encodeURIComponent(alias)}`)
  const fact = `index ${alias}`
  if (status === 200) return { level: 'ok', fact, found: 'exists' }
  if (status === 404) return { level: 'ok', fact, found: 'is not there yet: the first run makes it' }
  return { level: 'fatal', fact, found: `cannot be looked at (${status})` }
}

type Ask = (path: string) => Promise<{ readonly status: number; readonly text: string }>

export async function examineState(folder: string, ceilingBytes: number): Promise<readonly Finding[]> {
  const fact = 'state folder'
  try {
    await mkdir(folder, { recursive: true })
    await access(folder, constants.W_OK)
  } catch (error) {
    return [
      {
        level: 'fatal',
        fact,
        found: explain(error),
        remedies: { mysql: `make ${folder} writable, or change the setting state` },
      },
    ]
  }
  const { bavail, bsize } = await statfs(folder)
  const freeGb = (bavail * bsize) / gigabyte
  const enough = bavail * bsize > ceilingBytes
  return [
    { level: 'ok', fact, found: `${folder} is writable` },
    {
      level: enough ? 'ok' : 'warning',
      fact: 'state disk',
      found: `${freeGb.toFixed(1)} GB free; the log may grow to ${ceilingBytes / gigabyte} GB`,
      ...(enough
        ? {}
        : { remedies: { mysql: 'lower log.ceilingGb, or give the state folder a larger disk' } }),
    },
  ]
}
