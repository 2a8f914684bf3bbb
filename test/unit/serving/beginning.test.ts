import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startKind, startPosition } from '../../../src/serving/beginning.ts'
import type { Position } from '../../../src/change/change.ts'
import type { OpenSource } from '../../../src/cli/parts.ts'
import type { Pipeline, Start } from '../../../src/config/pipeline.ts'
import type { Source } from '../../../src/source/source.ts'

const streamOnly = { why: 'it is a stream', beginning: () => Promise.resolve('the whole' as Position) }

function sourceWith(more: Partial<Source>): Source & OpenSource {
  const source = {
    head: () => Promise.resolve('the head' as Position),
    earliest: () => Promise.resolve('the earliest' as Position),
    parse: (text: string) => text as Position,
    ...more,
  }
  return source as unknown as Source & OpenSource
}

test('where nothing but the stream can be read, its beginning is the first load', async () => {
  const [table, stream] = [sourceWith({}), sourceWith({ streamOnly })]
  assert.equal(startKind({ kind: 'load' }, table), 'load')
  assert.equal(startKind({ kind: 'load' }, stream), 'earliest')
  assert.equal(startKind({ kind: 'now' }, stream), 'now')
  assert.equal(await at({ kind: 'load' }, table), 'the head')
  assert.equal(await at({ kind: 'load' }, stream), 'the whole')
  assert.equal(await at({ kind: 'now' }, stream), 'the head')
  assert.equal(await at({ kind: 'earliest' }, stream), 'the earliest')
})

function at(start: Start, source: Source & OpenSource): Promise<Position> {
  return startPosition(source, [{ policy: { start } } as unknown as Pipeline])
}
