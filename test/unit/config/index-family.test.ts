import assert from 'node:assert/strict'
import { test } from 'node:test'
import { familyOf } from '../../../src/config/index-family.ts'

function read(name: string, keep?: number): readonly [ReturnType<typeof familyOf>, readonly string[]] {
  const found: string[] = []
  return [familyOf(name, keep, (complaint) => found.push(complaint)), found]
}

test('a name with a period in braces is an alias over an index for each period', () => {
  assert.deepEqual(read('visits-{created_at:YYYY_MM}', 3), [
    { index: 'visits', family: { column: 'created_at', prefix: 'visits-', format: 'YYYY_MM', keep: 3 } },
    [],
  ])
  assert.deepEqual(read('visits'), [{ index: 'visits', family: undefined }, []])
  for (const format of ['YYYY', 'YYYYMM', 'YYYY-MM-DD', 'YYYY.MM'])
    assert.deepEqual(read(`visits_{day:${format}}`)[1], [])
})

test('what is no pattern is said', () => {
  for (const name of [
    'visits-{day}',
    'visits-{day:YYYY}-x',
    '{',
    'visits-{day:MM}',
    'visits-{day:YYYY_MM-DD}',
  ])
    assert.equal(read(name)[1].length, 1, name)
  assert.match(read('visits{day:YYYY}')[1][0] ?? '', /before the period/)
  assert.match(read('visits', 3)[1][0] ?? '', /no index for each period/)
})
