/** Two authorities, and a certificate of 127.0.0.1 from each of them. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Makes ca.pem and other.pem, which have nothing to do with each other, and server.pem and other-server.pem, which they signed. */
export function makeCertificates(folder: string): void {
  const openssl = (...words: string[]): void =>
    void execFileSync(program, words, { cwd: folder, stdio: 'pipe' })
  const selfSigned = [
    'req',
    '-x509',
    '-nodes',
    '-days',
    '2',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
  ]
  for (const [authority, server] of [
    ['ca', 'server'],
    ['other', 'other-server'],
  ] as const) {
    openssl(
      ...selfSigned,
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    )
    const by = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`]
    const address = ['-addext', 'subjectAltName=IP:127.0.0.1']
    const files = ['-keyout', `${server}.key`, '-out', `${server}.pem`]
    openssl(...selfSigned, ...by, ...address, '-subj', `/CN=${server}`, ...files)
  }
}

export interface Identity {
  readonly key: string
  readonly cert: string
}

/** The key and the certificate of that name. */
export function identityIn(folder: string, name: string): Identity {
  const file = (ending: string): string => readFileSync(join(folder, `${name}.${ending}`), 'utf8')
  return { key: file('key'), cert: file('pem') }
}

const program = 'openssl'
