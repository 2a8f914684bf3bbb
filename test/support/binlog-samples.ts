/**
 * Event bodies, without header and checksum, as two servers wrote them (binlog_row_metadata = FULL). The table:
 *
 *   create table shop.orders (id int unsigned primary key, name varchar(20) character set latin1 not null,
 *     state enum('new','it''s'), tags set('a','b','ü'), amount decimal(10,2), note text, at datetime(3),
 *     data varbinary(20)) character set utf8mb4
 *
 * and what happened: two rows inserted by one statement, one updated, the other's key changed, that one deleted.
 */
import { TableMapCache, type TableContext } from '../../src/source/mysql/rows/table-map.ts'

const definition = '01000473686f7000066f72646572730008030ffefef6fc120f0c1400f701f8010a0202031400fc01018003'
const names = '0427026964046e616d65057374617465047461677306616d6f756e74046e6f746502617404646174610a'
const labels = '0508030161016202c3bc060a02036e6577046974277308'
const first = 'ff0007000000054772fcdf6502057ffffff3e10d0061202271756f7465642220d09699b37ec8b81ed20200ff'
const paid = '0007000000054772fcdf65020580000000000d0061202271756f7465642220d09699b37ec8b81ed20200ff'

export interface Samples {
  readonly map: Buffer
  /** The body, and where its column count begins. */
  readonly insert: readonly [body: Buffer, from: number]
  readonly update: readonly [body: Buffer, from: number]
  readonly keyChange: readonly [body: Buffer, from: number]
  readonly delete: readonly [body: Buffer, from: number]
}

export const samples: Readonly<Record<'mysql' | 'mariadb', Samples>> = {
  mysql: {
    map: bytes(`800000000000${definition}0508fcff003f${names}03fcff00${labels}01000c01ff`),
    insert: [bytes(`8000000000001100020008${first}fc0800000000`), 10],
    update: [bytes(`8000000000001100020008ff${first}${paid}`), 10],
    keyChange: [bytes('8000000000001100020008fffffc0800000000fc0900000000'), 10],
    delete: [bytes('8000000000001100020008fffc0900000000'), 10],
  },
  mariadb: {
    map: bytes(`200000000000${definition}03082d3f${names}012d${labels}0100`),
    insert: [bytes(`200000000000010008${first}fc0800000000`), 8],
    update: [bytes(`200000000000010008ff${first}${paid}`), 8],
    keyChange: [bytes('200000000000010008fffffc0800000000fc0900000000'), 8],
    delete: [bytes('200000000000010008fffc0900000000'), 8],
  },
}

/** Captures every table, unless told otherwise. */
export function contextOf(some: Partial<TableContext> = {}): TableContext {
  return {
    flavor: 'mysql',
    captured: () => true,
    excluded: () => new Set<string>(),
    keyColumns: () => undefined,
    cache: new TableMapCache(),
    ...some,
  }
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}
