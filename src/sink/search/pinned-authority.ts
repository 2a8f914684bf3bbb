/** Trust by fingerprint: the certificate that a person named by its SHA-256 becomes the one authority that is trusted. */
import { isIP } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { Failure } from '../../change/failure.ts'

/**
 * Asks the server for its chain and gives the pinned certificate in it as PEM text, for use as `ca`: from then on the
 * signatures are checked as always. Nothing but the handshake is sent. Throws a Failure of kind `transient` when the
 * server cannot be reached, `unauthorised` when its chain lacks the certificate.
 */
export async function pinnedAuthority(node: URL, fingerprint: string, signal: AbortSignal): Promise<string> {
  const wanted = fingerprint.replaceAll(':', '').toLowerCase()
  for (const certificate of chainOf(await presented(node, signal))) {
    if (certificate.fingerprint256.replaceAll(':', '').toLowerCase() === wanted) return pemOf(certificate.raw)
  }
  throw new Failure(
    'unauthorised',
    `no certificate that ${node.host} presents has the fingerprint of tls.fingerprint`,
    {
      remedy:
        'openssl s_client -connect HOST:PORT -showcerts shows them; or give the authority itself as tls.ca',
    },
  )
}

async function presented(node: URL, signal: AbortSignal): Promise<DetailedPeerCertificate> {
  const host = node.hostname.replace(/^\[(.*)\]$/, '$1')
  const { promise, resolve, reject } = Promise.withResolvers<DetailedPeerCertificate>()
  const socket: TLSSocket = connect({
    host,
    port: node.port === '' ? 443 : Number(node.port),
    // Only to see the chain: nothing is sent on this connection.
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
  })
  const abort = (): void => reject(new Failure('transient', `no TLS handshake with ${node.host} in time`))
  signal.addEventListener('abort', abort, { once: true })
  socket.once('secureConnect', () => resolve(socket.getPeerCertificate(true)))
  socket.once('error', (error) =>
    reject(new Failure('transient', `no TLS connection to ${node.host}: ${error.message}`)),
  )
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

function* chainOf(first: DetailedPeerCertificate): Generator<DetailedPeerCertificate> {
  let certificate: DetailedPeerCertificate | undefined = first
  while (certificate?.raw !== undefined) {
    yield certificate
    // A certificate that signed itself is its own issuer: the end.
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate
    certificate = issuer?.fingerprint256 === certificate.fingerprint256 ? undefined : issuer
  }
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
