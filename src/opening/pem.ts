/** Certificates and keys from their files. */
import { readFileSync } from 'node:fs'
import { Failure } from '../change/failure.ts'

/** As PEM text. */
interface Tls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Whether the certificate has to come from a trusted authority. */
  readonly verify: boolean
  /** Whether it has to bear the host's name, too. */
  readonly verifyName: boolean
}

/** undefined = without encryption. */
export function tlsOf(tls: {
  readonly mode: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}): Tls | undefined {
  if (tls.mode === 'off') return undefined
  const { ca, cert, key } = tls
  return {
    ...(ca === undefined ? {} : { ca: pem(ca) }),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
    verify: tls.mode !== 'required',
    verifyName: tls.mode === 'verify',
  }
}

export function pem(path: string): string {
  // It may be a private key, of which nothing is to be told.
  if (path.includes('-----BEGIN'))
    throw new Failure('configuration', 'a certificate or a key stands where the path of its file should', {
      remedy: 'write it into a file, and set the path of that in ca, cert or key',
    })
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure('configuration', `the PEM file ${path} cannot be read`, {
      cause,
      remedy: 'check the path and its permissions',
    })
  }
}
