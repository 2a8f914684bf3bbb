/** Connects to a target by its settings; credentials that were replaced on disk are read again when the old ones fail. */
import { Failure } from '../change/failure.ts'
import { targetConnection, type TargetAuth } from '../config/connection.ts'
import type { Configuration } from '../config/load.ts'
import type { Settings, TargetSettings } from '../config/schema.ts'
import { pem } from './pem.ts'
import type { Sender } from '../sink/service/http-service.ts'
import { connectSearch, type Authentication, type SearchSettings } from '../sink/search/connect.ts'
import type { SearchClient } from '../sink/search/search-client.ts'
import type { Throttle } from '../sink/sink.ts'

/** To a cluster. */
export function connectTarget(
  { settings, reread }: Configuration,
  name: string,
  throttle: Throttle,
): SearchClient {
  const now = (from: Settings): SearchSettings => searchSettings(targetOf(from, name))
  return connectSearch(now(settings), throttle, () => now(reread()))
}

/** To a service of which nothing is known but where it is. */
export function connectPlain({ settings, reread }: Configuration, name: string, throttle: Throttle): Sender {
  const now = (from: Settings): SearchSettings => ({
    ...searchSettings(targetOf(from, name)),
    product: 'none',
  })
  return connectSearch(now(settings), throttle, () => now(reread()))
}

function targetOf({ targets }: Settings, name: string): TargetSettings {
  const settings = targets[name]
  if (settings === undefined) throw new Failure('configuration', `there is no target ${name}`)
  return settings
}

function searchSettings(settings: TargetSettings): SearchSettings {
  const { nodes, auth } = targetConnection(settings)
  const { kind, compress, discover, requestTimeoutSeconds } = settings
  const { ca, fingerprint, verify } = settings.tls
  return {
    product: kind === 'elasticsearch' || kind === 'opensearch' ? kind : undefined,
    nodes,
    authentication: authentication(auth),
    tls: {
      ...(ca === undefined ? {} : { ca: pem(ca) }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
      verify,
    },
    requestTimeoutMs: requestTimeoutSeconds * 1000,
    compress,
    discover,
  }
}

function authentication(auth: TargetAuth): Authentication | undefined {
  switch (auth.kind) {
    case 'none':
      return undefined
    case 'bearer':
      return { kind: 'bearer', token: auth.bearer }
    default:
      return auth
  }
}
