import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CapturedBodies } from '../../bench/captured-bodies.ts'

const pair = (number: number): string => `{"index":{"_id":"${number}"}}\n{"name":"größer ${number}"}\n`

test('lines come back byte for byte, cut between documents into bodies of at most the size', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'captured-'))
  context.after(() => rmSync(directory, { recursive: true }))
  const pairs = Array.from({ length: 100 }, (_, number) => pair(number))
  const bodyBytesMax = 500
  using captured = new CapturedBodies(join(directory, 'bodies'), bodyBytesMax)
  captured.add(Buffer.from(pairs.slice(0, 3).join('')))
  captured.add(Buffer.from(pairs.slice(3, 60).join('')))
  captured.add(Buffer.from(pairs.slice(60).join('')))

  const bodies = [...captured.bodies()]

  assert.equal(Buffer.concat(bodies).toString(), pairs.join(''))
  assert.equal(captured.documents, 100)
  for (const body of bodies) {
    assert(body.length <= bodyBytesMax)
    assert.match(body.toString(), /^\{"index"[^]*\}\n$/)
  }
  const least = Math.ceil(Buffer.byteLength(pairs.join('')) / bodyBytesMax)
  assert(bodies.length <= least + 1, 'bodies are filled')
})

test('a document larger than a body has one of its own', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'captured-'))
  context.after(() => rmSync(directory, { recursive: true }))
  const large = `{"index":{"_id":"1"}}\n{"name":"${'x'.repeat(100)}"}\n`
  using captured = new CapturedBodies(join(directory, 'bodies'), 20)
  captured.add(Buffer.from(large + large))
  assert.deepEqual(
    [...captured.bodies()].map((body) => body.toString()),
    [large, large],
  )
})
