/** A key and a certificate for a broker on 127.0.0.1, made by the JDK's own tool. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { needJdk } from '../stack/jdk.ts'
import { run } from '../stack/command.ts'

export interface BrokerKey {
  /** Settings of a listener that uses it. */
  readonly settings: Readonly<Record<string, string>>
  /** PEM: whoever trusts it trusts the broker. */
  readonly certificate: string
}

const password = 'changeit'

/** `name` is that of files in the directory. */
export async function makeBrokerKey(directory: string, name: string): Promise<BrokerKey> {
  const { home } = await needJdk('keytool', { fits: () => true, words: 'a Java' })
  const store = join(directory, `${name}.p12`)
  const pem = join(directory, `${name}.pem`)
  const keytool = join(home, 'bin', 'keytool')
  const common = ['-keystore', store, '-storetype', 'PKCS12', '-storepass', password, '-alias', name]
  const subject = ['-dname', `CN=${name}`, '-ext', 'san=ip:127.0.0.1', '-validity', '2']
  await run(keytool, ['-genkeypair', '-keyalg', 'EC', ...common, ...subject])
  await run(keytool, ['-exportcert', '-rfc', '-file', pem, ...common])
  const settings = {
    'ssl.keystore.location': store,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': password,
  }
  return { settings, certificate: await readFile(pem, 'utf8') }
}
