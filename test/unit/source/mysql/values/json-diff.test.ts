import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../../../../../src/change/failure.ts'
import { textOf } from '../../../../../src/change/row.ts'
import { applyJsonDiffs } from '../../../../../src/source/mysql/values/json-diff.ts'
import { jsonCell } from '../../../../../src/source/mysql/values/json.ts'
import { encodeJson, type BinaryJson } from '../../../../support/binary-json.ts'

const [replace, insert, remove] = [0, 1, 2]

test('values are replaced, inserted and removed, and all others stay exactly what they were', () => {
  const document = object({
    big: 9007199254740993n,
    list: [1n, { double: 0.1 }, { opaque: 246, bytes: Buffer.from('04028c22', 'hex') }],
    nested: object({ a: null, date: { opaque: 10, bytes: Buffer.from('0000000000b1b919', 'hex') } }),
  })
  const cases: readonly (readonly [diffs: Buffer, text: string])[] = [
    [
      diff(replace, '$.list[1]', 2n ** 64n - 1n),
      document1('[1, 18446744073709551615, 12.34]', '{"a": null, "date": "2026-04-24"}'),
    ],
    [diff(insert, '$.list[0]', 'x'), document1('["x", 1, 0.1, 12.34]', '{"a": null, "date": "2026-04-24"}')],
    [
      diff(insert, '$.list[9]', [true]),
      document1('[1, 0.1, 12.34, [true]]', '{"a": null, "date": "2026-04-24"}'),
    ],
    [diff(remove, '$.list[last]'), document1('[1, 0.1]', '{"a": null, "date": "2026-04-24"}')],
    [
      diff(replace, '$.list[last-2]', false),
      document1('[false, 0.1, 12.34]', '{"a": null, "date": "2026-04-24"}'),
    ],
    [diff(remove, '$.nested.a'), document1('[1, 0.1, 12.34]', '{"date": "2026-04-24"}')],
    [
      diff(insert, '$.nested."b c"', object({})),
      document1('[1, 0.1, 12.34]', '{"a": null, "b c": [], "date": "2026-04-24"}'),
    ],
    [
      Buffer.concat([
        diff(remove, '$.nested.date'),
        diff(insert, String.raw`$.nested."ü\"."`, 1n),
        diff(remove, '$.list'),
      ]),
      String.raw`{"big": 9007199254740993, "nested": {"a": null, "ü\".": 1}}`,
    ],
  ]
  for (const large of [false, true])
    for (const [diffs, text] of cases)
      assert.equal(shown(applyJsonDiffs(encodeJson(document, large), diffs)), text)
})

test('differences that do not fit, or break their format, are corrupt', () => {
  const document = encodeJson(object({ a: [1n], b: 'text' }))
  const whole = diff(replace, '$.a[0]', 'value')
  const wrong = [
    diff(replace, '$.c', 1n),
    diff(replace, '$.a[1]', 1n),
    diff(replace, '$.a.x', 1n),
    diff(replace, '$.b[0]', 1n),
    diff(replace, '$', 1n),
    diff(remove, '$.a[1]'),
    diff(insert, '$.b', 1n),
    diff(insert, '$.a.x', 1n),
    diff(insert, '$[0]', 1n),
    diff(3, '$.a', 1n),
    diff(replace, 'a', 1n),
    diff(replace, '$.a[*]', 1n),
    diff(replace, '$."a', 1n),
    ...Array.from({ length: whole.length - 1 }, (_, cut) => whole.subarray(0, cut + 1)),
  ]
  for (const diffs of wrong)
    assert.throws(() => applyJsonDiffs(document, diffs), isCorrupt, diffs.toString('latin1'))
})

test('any change of any document gives what the same change of its values gives', () => {
  fc.assert(
    fc.property(
      documents,
      fc.array(fc.tuple(fc.nat(), fc.nat(2), scalars), { maxLength: 6 }),
      (document, edits) => {
        let bytes = encodeJson(written(document))
        for (const [choice, operation, value] of edits) {
          const places = placesIn(document, operation)
          const place = places[choice % Math.max(1, places.length)]
          if (place === undefined) continue
          const { path, change } = place
          change(value)
          bytes = applyJsonDiffs(bytes, diff(operation, path, operation === remove ? undefined : value))
        }
        assert.equal(shown(bytes), shown(encodeJson(written(document))))
      },
    ),
    { numRuns: 1000 },
  )
})

/** A document that can be changed. */
type Tree = { list: Tree[] } | { members: Map<string, Tree> } | { scalar: BinaryJson }

interface Place {
  readonly path: string
  /** Makes the change with the value. */
  readonly change: (value: BinaryJson) => void
}

const scalars: fc.Arbitrary<BinaryJson> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.string({ unit: 'binary' }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.integer({ min: -300, max: 300 }).map(BigInt),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((double) => ({ double })),
)

const documents: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree; container: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    scalars.map((scalar) => ({ scalar })),
    tie('container'),
  ),
  container: fc.oneof(
    fc.array(tie('tree'), { maxLength: 4 }).map((list) => ({ list })),
    fc
      .dictionary(fc.string({ unit: 'binary' }), tie('tree'), { maxKeys: 4, minKeys: 1 })
      .map((members) => ({ members: new Map(Object.entries(members)) })),
  ),
})).container

/** Everywhere where this operation can be done. */
function placesIn(tree: Tree, operation: number, path = '$'): Place[] {
  if ('scalar' in tree) return []
  if ('list' in tree) {
    const { list } = tree
    const own = Array.from({ length: list.length + (operation === insert ? 1 : 0) }, (_, at) => ({
      path: `${path}[${at}]`,
      change: (value: BinaryJson) =>
        list.splice(at, operation === insert ? 0 : 1, ...(operation === remove ? [] : [{ scalar: value }])),
    }))
    return [...own, ...list.flatMap((child, at) => placesIn(child, operation, `${path}[${at}]`))]
  }
  const { members } = tree
  const keys =
    operation === insert
      ? ['new', 'brand new', '$."'].filter((key) => !members.has(key))
      : [...members.keys()]
  const own = keys.map((key) => ({
    path: `${path}.${JSON.stringify(key)}`,
    change: (value: BinaryJson) =>
      operation === remove ? members.delete(key) : members.set(key, { scalar: value }),
  }))
  return [
    ...own,
    ...[...members].flatMap(([key, child]) => placesIn(child, operation, `${path}.${JSON.stringify(key)}`)),
  ]
}

/** With its keys in the server's order. An emptied object cannot be told from an array by the writer of the tests. */
function written(tree: Tree): BinaryJson {
  if ('scalar' in tree) return tree.scalar
  if ('list' in tree) return tree.list.map(written)
  return object(Object.fromEntries([...tree.members].map(([key, child]) => [key, written(child)])))
}

function object(members: Readonly<Record<string, BinaryJson>>): BinaryJson {
  return new Map(Object.entries(members).toSorted(([key], [other]) => keyOrder(key, other)))
}

/** The server's: the shorter first, those of one length by their bytes. */
function keyOrder(key: string, other: string): number {
  const [bytes, others] = [Buffer.from(key, 'utf8'), Buffer.from(other, 'utf8')]
  return bytes.length - others.length || bytes.compare(others)
}

function document1(list: string, nested: string): string {
  return `{"big": 9007199254740993, "list": ${list}, "nested": ${nested}}`
}

function diff(operation: number, path: string, value?: BinaryJson): Buffer {
  const parts = [Buffer.of(operation), sized(Buffer.from(path))]
  return Buffer.concat(value === undefined ? parts : [...parts, sized(encodeJson(value))])
}

function sized(bytes: Buffer): Buffer {
  const length =
    bytes.length < 251 ? Buffer.of(bytes.length) : Buffer.of(252, bytes.length & 255, bytes.length >> 8)
  return Buffer.concat([length, bytes])
}

/** The writer of the tests writes an empty object as an array. */
function shown(document: Buffer): string {
  return textOf(jsonCell(document, 0, document.length)).replaceAll('{}', '[]')
}

function isCorrupt(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'corrupt'
}
