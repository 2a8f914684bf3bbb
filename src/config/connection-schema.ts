/** Settings of connections that servers of several kinds have alike, as data. */
import { choice, group, secret, text, Type } from './schema-words.ts'

/** Of servers whose URL may name the user. */
export const login = {
  user: Type.Optional(text('The user, when the URL names none.')),
  password: Type.Optional(secret(text('The password, when it is better kept out of the URL.'))),
}

/** `signed`: what the authority vouches for. */
export function encryption(description: string, signed: string) {
  return group(description, {
    mode: choice(
      ['off', 'required', 'verify-ca', 'verify'],
      'off',
      'off; required (encrypted, any certificate); verify-ca (encrypted, the certificate is checked, but not the name in it: those that MySQL makes for itself have none); verify (both are checked).',
    ),
    ca: Type.Optional(text(`PEM file of the authority that signed ${signed}.`)),
    cert: Type.Optional(text('PEM file of our own certificate.')),
    key: Type.Optional(text('PEM file of the key to our own certificate.')),
  })
}

export const serverTls = encryption('Encryption of the connection.', 'the server certificate')
