import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Position } from '../../../../../src/change/change.ts'
import { Failure } from '../../../../../src/change/failure.ts'
import { parseGtidSet } from '../../../../../src/source/mysql/gtid/gtid-set.ts'
import {
  covers,
  formatPosition,
  parsePosition,
  showPosition,
  withFile,
  withOrigin,
} from '../../../../../src/source/mysql/gtid/position.ts'

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const at = (gtids: string): Position => formatPosition({ executed: parseGtidSet(gtids) })

test('a position comes back as it was written', () => {
  const place = {
    executed: parseGtidSet(`${uuid}:1-7`),
    inside: { gtid: `${uuid}:8`, events: 3, server: uuid },
    file: 'binlog.000007',
    offset: 5_000_000_000,
  }
  const back = parsePosition(formatPosition(place))
  assert.deepEqual({ ...back, executed: back.executed.toString() }, { ...place, executed: `${uuid}:1-7` })
})

test('a position covers another by its transactions alone, whatever their files', () => {
  const early = formatPosition({ executed: parseGtidSet(`${uuid}:1-7`), file: 'binlog.000009', offset: 900 })
  const late = formatPosition({ executed: parseGtidSet(`${uuid}:1-8`), file: 'binlog.000001', offset: 4 })
  assert(covers(late, early))
  assert(!covers(early, late))
  assert(covers(at(''), at('')))
  assert(covers(at('0-1-5'), at('')))
  assert(covers(at('0-1-5'), at('0-2-4')))
})

test('a part of a transaction is not covered', () => {
  const inside = { gtid: `${uuid}:8`, events: 3, server: uuid }
  const part = formatPosition({ executed: parseGtidSet(`${uuid}:1-7`), inside })
  assert(!covers(part, at(`${uuid}:1-8`)))
  assert(covers(part, at(`${uuid}:1-7`)))
})

test('a position is shown to people with its place in a file', () => {
  assert.equal(showPosition(at('')), 'the beginning')
  const inside = { gtid: '0-1-6', events: 2, server: 's' }
  const text = showPosition(
    formatPosition({ executed: parseGtidSet('0-1-5'), inside, file: 'b.1', offset: 4 }),
  )
  assert.equal(text, '0-1-5, and 2 row events of 0-1-6 (b.1:4)')
})

test('what is no position is refused as corrupt', () => {
  for (const text of ['', '0-1-5', '{}', '{"gtid": 5}'])
    assert.throws(
      () => parsePosition(text as Position),
      (error) => error instanceof Failure && error.kind === 'corrupt',
    )
})

test('where it was read is added to a position without reading it', () => {
  const bare = formatPosition({ executed: 'a:1-5', file: 'binlog.000007', offset: 99 })
  const last = { gtid: 'a:5', server: 'one', at: 1_700_000_000_123, events: 5, bytes: 321 }
  const position = withOrigin(bare, { server: 'one', last })
  const executed = parseGtidSet('11111111-1111-1111-1111-111111111111:1-5')
  const whole = formatPosition({ executed, file: 'binlog.000007', offset: 99, server: 'one', last })
  const place = parsePosition(whole)
  assert.deepEqual([place.server, place.last, place.file], ['one', last, 'binlog.000007'])
  assert.equal(position, whole.replace(executed.toString(), 'a:1-5'))
  assert.equal(
    parsePosition(withOrigin(formatPosition({ executed }), { server: 'one', last: undefined })).last,
    undefined,
  )
})

test('names the XA branches that are prepared, and what was given of one that commits', () => {
  const open = [
    { branch: '61::1', gtid: `${uuid}:3`, at: 1_700_000_000_000 },
    { branch: '62:00ff:7', gtid: `${uuid}:2`, at: 1_600_000_000_000 },
  ]
  const inside = { gtid: `${uuid}:9`, events: 4, server: 'one', branch: '61::1' }
  const position = withOrigin(formatPosition({ executed: parseGtidSet(`${uuid}:1-8`), open, inside }), {
    server: 'one',
    last: undefined,
  })
  const place = parsePosition(position)
  assert.deepEqual(place.open, open)
  assert.deepEqual(place.inside, inside)
  assert.match(showPosition(position), /, and prepared XA transactions: 2, the oldest of 2020-09-13T12:26:40/)
  assert(covers(position, at(`${uuid}:1-8`)), 'what is prepared is seen by nobody')
  assert.equal(
    parsePosition(formatPosition({ executed: 'a', open: [] }).replace('"a"', '""') as Position).open,
    undefined,
  )
})

test('goes to another place in the files with all its transactions, parts and branches', () => {
  const place = {
    executed: `${uuid}:1-7`,
    inside: { gtid: `${uuid}:8`, events: 3, server: uuid },
    open: [{ branch: '61::1', gtid: `${uuid}:3`, at: 1_700_000_000_000 }],
  }
  const position = formatPosition({ ...place, file: 'binlog.000009', offset: 4 })
  const there = { file: 'binlog.000007', offset: 4711 }
  assert.equal(withFile(position, there), formatPosition({ ...place, ...there }))
})
