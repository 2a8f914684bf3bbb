import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressCell, uuidCell } from '../../../../../src/source/mysql/values/fixed-bytes.ts'

function uuid(hex: string): string {
  const body = Buffer.from(hex, 'hex')
  return uuidCell(body, 0, body.length)
}

function address(hex: string, bytes: number): string {
  const body = Buffer.from(hex, 'hex')
  return addressCell(body, 0, body.length, bytes)
}

test('a UUID gets the zero bytes back that were left away at its end', () => {
  assert.equal(uuid('ca85c9a2d4aa11eea5060242ac120002'), '"ca85c9a2-d4aa-11ee-a506-0242ac120002"')
  assert.equal(uuid('001122000000100080'), '"00112200-0000-1000-8000-000000000000"')
  assert.equal(uuid(''), '"00000000-0000-0000-0000-000000000000"')
})

test('addresses are the text that MariaDB makes of them', () => {
  assert.equal(address('', 4), '"0.0.0.0"')
  assert.equal(address('c0a801', 4), '"192.168.1.0"')
  const long: readonly (readonly [hex: string, text: string])[] = [
    ['', '::'],
    [`${'00'.repeat(15)}01`, '::1'],
    ['20010db8000000000000ff0000428329', '2001:db8::ff00:42:8329'],
    ['00000000000000000000ffff01020304', '::ffff:1.2.3.4'],
    ['00000000000000000000000001020304', '::1.2.3.4'],
    ['0001', '1::'],
    ['00010000000300040005000600070008', '1::3:4:5:6:7:8'],
    ['00010000000000040005000000000008', '1::4:5:0:0:8'],
    ['00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
    ['000000020003000400050006000700f8', '::2:3:4:5:6:7:f8'],
  ]
  for (const [hex, text] of long) assert.equal(address(hex, 16), `"${text}"`)
})

test('more bytes than the type has are a Failure', () => {
  assert.throws(() => uuid('00'.repeat(17)), { kind: 'corrupt' })
  assert.throws(() => address('00'.repeat(5), 4), { kind: 'corrupt' })
})
