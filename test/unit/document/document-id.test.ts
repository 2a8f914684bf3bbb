import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { bytesOf } from '../../../src/change/row.ts'
import { documentId } from '../../../src/document/document-id.ts'

const text = (value: string): string => bytesOf(JSON.stringify(value))

describe('a document id', () => {
  it('is the plain text of a single column', () => {
    assert.equal(documentId(['42'], ''), '42')
    assert.equal(documentId([text('Köln')], 'city:'), 'city:Köln')
    assert.equal(documentId([text('a|b\\c "d"')], ''), 'a|b\\c "d"')
    assert.equal(documentId(['"2026-01-31T12:00:00Z"'], ''), '2026-01-31T12:00:00Z')
  })

  it('joins several columns so that the joint shows', () => {
    assert.equal(documentId([text('de'), '7'], ''), 'de|7')
    assert.equal(documentId([text('a|b'), text('c\\')], ''), 'a\\|b|c\\\\')
    assert.equal(documentId([null, text('\\N')], ''), '\\N|\\\\N')
  })

  it('is a hash where the text is empty, too long for a search server, or looks like a hash', () => {
    assert.match(documentId([text('')], 'p-'), /^p-sha256:[0-9a-f]{64}$/)
    assert.match(documentId([text('sha256:abc')], ''), /^sha256:[0-9a-f]{64}$/)
    assert.equal(documentId([text('x'.repeat(512))], ''), 'x'.repeat(512))
    assert.match(documentId([text('x'.repeat(513))], ''), /^sha256:/)
    assert.match(documentId([text('ü'.repeat(257))], ''), /^sha256:/)
    assert.match(documentId([text('x'.repeat(500))], 'a longer prefix:'), /^a longer prefix:sha256:/)
  })

  it('differs where keys differ, and never exceeds 512 bytes', () => {
    const part = fc.oneof(
      fc.integer().map(String),
      fc.constantFrom('', '|', '\\', '\\N', '|\\', 'a', 'a|', 'sha256:').map(text),
      fc.string({ unit: 'grapheme', maxLength: 8 }).map(text),
      fc.integer({ min: 500, max: 520 }).map((length) => text('x'.repeat(length))),
      fc.constant(null),
    )
    const key = fc.integer({ min: 2, max: 3 }).chain((length) => {
      const parts = fc.array(part, { minLength: length, maxLength: length })
      return fc.tuple(parts, parts)
    })
    fc.assert(
      fc.property(key, ([a, b]) => {
        const [idA, idB] = [documentId(a, 'p'), documentId(b, 'p')]
        assert.equal(idA === idB, values(a) === values(b))
        assert.ok(Buffer.byteLength(idA) <= 512)
      }),
    )
  })
})

/** A number and a text of the same digits are never in the same column. */
function values(cells: readonly (string | null)[]): string {
  return JSON.stringify(cells.map((cell) => cell?.replace(/^(-?\d+)$/, '"$1"')))
}
