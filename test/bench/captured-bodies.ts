/** The lines that the daemon sent, kept in a file in order, cut into bodies of one size to be sent again. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { checksumOfDocument, type Checksum } from '../support/reference-table.ts'
import type { Source } from '../support/search-index.ts'

export class CapturedBodies implements Disposable {
  readonly #file: number
  readonly #bodyBytesMax: number
  /** Where each body ends. */
  readonly #ends: number[] = []
  #bytes = 0
  #documents = 0

  constructor(path: string, bodyBytesMax: number) {
    this.#file = openSync(path, 'w+')
    this.#bodyBytesMax = bodyBytesMax
  }

  get documents(): number {
    return this.#documents
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds what one request carried: pairs of lines, an action and its document. */
  add(lines: Buffer): void {
    let from = 0
    while (from < lines.length) {
      const to = endOfPair(lines, from)
      const begun = this.#ends.at(-1) ?? 0
      const isFull = this.#bytes + to - begun > this.#bodyBytesMax
      if (isFull && this.#bytes + from > begun) this.#ends.push(this.#bytes + from)
      this.#documents++
      from = to
    }
    this.#write(lines)
  }

  /** The bodies in order, each read when it is asked for. */
  *bodies(): Generator<Buffer> {
    let from = 0
    for (const to of [...this.#ends, this.#bytes]) {
      const body = Buffer.allocUnsafe(to - from)
      const read = readSync(this.#file, body, 0, body.length, from)
      assert.equal(read, body.length, 'the file holds every body')
      if (body.length > 0) yield body
      from = to
    }
  }

  /** Of the documents in it. */
  checksum(): Checksum {
    let sum = 0n
    let count = 0
    for (const body of this.bodies()) {
      const lines = body.toString('utf8').split('\n')
      for (let at = 1; at < lines.length; at += 2) {
        sum += BigInt(checksumOfDocument(JSON.parse(lines[at] ?? '') as Source))
        count++
      }
    }
    return { count, sum }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }

  #write(bytes: Buffer): void {
    let written = 0
    while (written < bytes.length) {
      written += writeSync(this.#file, bytes, written, bytes.length - written, this.#bytes + written)
    }
    this.#bytes += bytes.length
  }
}

function endOfPair(lines: Buffer, from: number): number {
  const action = lines.indexOf(newline, from)
  const document = lines.indexOf(newline, action + 1)
  assert(action > 0 && document > action, 'every action is followed by its document')
  return document + 1
}

const newline = 10
