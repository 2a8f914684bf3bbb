import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'

/*
 * The bytes that the JVM of an Elasticsearch 8.9+ or 9.x server reads from its standard input before it starts; its
 * launcher sends them usually, and we send them ourselves. The server ends when that input ends.
 *
 *   daemonize, quiet, has pid file   3 booleans
 *   secrets                          the class name of a key store, then the key store itself:
 *                                    format 7 as int32, has password, closed, entries (name, bytes, sha-256), has signature
 *   settings                         count, then name, type (0 = string) and value, in the order of the names
 *   config folder, logs folder       strings
 *
 * Integers that count are in groups of 7 bits, low first; a string is its length in UTF-16 units and its UTF-8 bytes.
 */
export interface ServerArguments {
  readonly configDirectory: string
  readonly logsDirectory: string
  readonly settings: Readonly<Record<string, string>>
  /** The seed of the key store; random where it is not given. */
  readonly seed?: string
}

export function encodeServerArguments(server: ServerArguments): Uint8Array {
  const seed = Buffer.from(server.seed ?? randomBytes(15).toString('base64'))
  const names = Object.keys(server.settings).toSorted()
  return Buffer.concat([
    boolean(false),
    boolean(false),
    boolean(false),
    text('org.elasticsearch.common.settings.KeyStoreWrapper'),
    Buffer.from([0, 0, 0, 7]),
    boolean(false),
    boolean(false),
    count(1),
    text('keystore.seed'),
    bytes(seed),
    bytes(createHash('sha256').update(seed).digest()),
    boolean(false),
    count(names.length),
    ...names.flatMap((name) => [text(name), Buffer.from([0]), text(server.settings[name] ?? '')]),
    text(server.configDirectory),
    text(server.logsDirectory),
  ])
}

export function count(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31, 'a count is a non-negative int32')
  const groups: number[] = []
  let rest = value
  while (rest > 127) {
    groups.push((rest & 127) | 128)
    rest >>>= 7
  }
  return Buffer.from([...groups, rest])
}

function text(value: string): Uint8Array {
  return Buffer.concat([count(value.length), Buffer.from(value, 'utf8')])
}

function bytes(value: Uint8Array): Uint8Array {
  return Buffer.concat([count(value.length), value])
}

function boolean(value: boolean): Uint8Array {
  return Buffer.from([value ? 1 : 0])
}
