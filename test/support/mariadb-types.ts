/** Columns that only MariaDB has. */
import * as fc from 'fast-check'
import { text } from './every-charset.ts'
import type { TypeCase } from './type-case.ts'

const any = ['mariadb', 'mariadb@11.8']
const letters = fc.string({ unit: 'grapheme', maxLength: 300 }).map((value) => text(value.slice(0, 200)))
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => `x'${Buffer.from(value).toString('hex')}'`)
/** Mostly zeroes, so that runs of them stand everywhere. */
const sparse = (length: number): fc.Arbitrary<Buffer> =>
  fc
    .array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(255)), {
      minLength: length,
      maxLength: length,
    })
    .map((values) => Buffer.from(values))

/** By column name. */
export const mariadbTypes: Readonly<Record<string, TypeCase>> = {
  uuid_: {
    sql: 'uuid',
    only: any,
    extremes: [
      same('00000000-0000-0000-0000-000000000000'),
      same('ffffffff-ffff-ffff-ffff-ffffffffffff'),
      same('ca85c9a2-d4aa-11ee-a506-0242ac120002'),
      same('018dcd3e-1b2c-7a00-8000-202020202020'),
      same('00112200-0000-1000-8000-000000000000'),
    ],
    random: fc.oneof(
      fc.uuid().map(sqlText),
      sparse(16).map((value) => sqlText(value.toString('hex'))),
    ),
  },
  inet4_: {
    sql: 'inet4',
    only: any,
    extremes: [same('0.0.0.0'), same('255.255.255.255'), same('1.2.3.0'), same('32.32.32.32')],
    random: sparse(4).map((value) => sqlText(value.join('.'))),
  },
  inet6_: {
    sql: 'inet6',
    only: any,
    extremes: [
      same('::'),
      same('::1'),
      same('2001:db8::ff00:42:8329'),
      same('::ffff:1.2.3.4'),
      same('::1.2.3.4'),
      same('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'),
      same('1::'),
    ],
    random: sparse(16).map((value) => sqlText(value.toString('hex').replace(/(.{4})(?=.)/g, '$1:'))),
  },
  binary16_: {
    sql: 'binary(16)',
    only: any,
    extremes: [["x'01'", `"${Buffer.from([1, ...Array<number>(15).fill(0)]).toString('base64')}"`]],
    random: fc.uint8Array({ maxLength: 16 }).map((value) => `x'${Buffer.from(value).toString('hex')}'`),
  },
  varbinary12_: {
    sql: 'varbinary(12)',
    only: any,
    extremes: [["x'0000803f'", '"AACAPw=="']],
    random: fc.uint8Array({ maxLength: 12 }).map((value) => `x'${Buffer.from(value).toString('hex')}'`),
  },
  varchar_packed: packed('varchar(250) compressed character set utf8mb4'),
  varchar_packed_long: packed('varchar(2000) compressed character set utf8mb4'),
  varchar_packed_koi8r: {
    ...packed('varchar(300) compressed character set koi8r'),
    random: fc
      .array(fc.constantFrom('п', 'р', 'a', '"'), { maxLength: 300 })
      .map((parts) => text(parts.join(''))),
  },
  tinytext_packed: packed('tinytext compressed character set latin1', ''),
  text_packed: packed('text compressed character set utf8mb4'),
  mediumtext_packed: packed('mediumtext compressed character set utf8mb4'),
  longtext_packed: packed('longtext compressed character set utf8mb4'),
  varbinary_packed: packedBytes('varbinary(500) compressed'),
  tinyblob_packed: {
    ...packedBytes('tinyblob compressed'),
    extremes: [["''", '""']],
    random: fc.constant("repeat('x', 200)"),
  },
  blob_packed: packedBytes('blob compressed'),
  longblob_packed: packedBytes('longblob compressed'),
  vector_: {
    sql: 'vector(3)',
    only: ['mariadb@11.8'],
    extremes: [["vec_fromtext('[1,-0.1,3.5]')", '[1,-0.1,3.5]']],
    random: fc
      .array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 }), {
        minLength: 3,
        maxLength: 3,
      })
      .map((values) => `vec_fromtext('[${values.map((value) => value.toFixed(6)).join(',')}]')`),
  },
  vector_long: {
    sql: 'vector(300)',
    only: ['mariadb@11.8'],
    extremes: [],
    random: fc
      .nat(1000)
      .map((n) => `vec_fromtext('[${Array.from({ length: 300 }, (_, at) => at * n).join(',')}]')`),
  },
}

function packed(sql: string, long = 'Ж 😀'): TypeCase {
  return {
    sql,
    only: any,
    extremes: [
      ["''", '""'],
      ["'short'", '"short"'],
      [`repeat('x', 200)`, `"${'x'.repeat(200)}"`],
      ...(long === '' || sql.includes('koi8r')
        ? []
        : [[`repeat(${text(long)}, 50)`, JSON.stringify(long.repeat(50))] as const]),
    ],
    random: sql.startsWith('tinytext') ? fc.constantFrom("repeat('ab', 100)", "'x'") : letters,
  }
}

function packedBytes(sql: string): TypeCase {
  return {
    sql,
    only: any,
    extremes: [
      ["''", '""'],
      ["x'00'", '"AA=="'],
      ["repeat(x'00', 400)", `"${Buffer.alloc(400).toString('base64')}"`],
    ],
    random: bytes,
  }
}

function same(value: string): [sql: string, json: string] {
  return [sqlText(value), `"${value}"`]
}

function sqlText(value: string): string {
  return `'${value}'`
}
