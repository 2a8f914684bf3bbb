/**
 * Which events may be passed over. An event that is not known by its number stops capture, even where the server marks
 * it as one that may be ignored: what it would have changed is not known either.
 */
import { Failure } from '../../change/failure.ts'
import { eventName, eventType } from './binlog-events.ts'

const harmless: ReadonlySet<number> = new Set([
  eventType.stop,
  // They prepare a statement; the statement itself decides.
  eventType.intvar,
  eventType.rand,
  eventType.userVariable,
  eventType.heartbeat,
  eventType.heartbeatV2,
  eventType.ignorable,
  eventType.rowsQuery,
  eventType.previousGtids,
  eventType.transactionContext,
  eventType.viewChange,
  eventType.mariadbAnnotateRows,
  eventType.mariadbBinlogCheckpoint,
  eventType.mariadbGtidList,
  eventType.mariadbStartEncryption,
])

export function isHarmless(type: number): boolean {
  return harmless.has(type)
}

export function isRowEvent(type: number): boolean {
  return (
    (type >= eventType.writeRows && type <= eventType.deleteRows) ||
    (type >= eventType.writeRowsV1 && type <= eventType.deleteRowsV1)
  )
}

/** Row events whose table can be told though their rows cannot be read. */
export function isUnreadableRowEvent(type: number): boolean {
  return (
    type === eventType.partialUpdateRows ||
    (type >= eventType.mariadbWriteRowsCompressedV1 && type <= eventType.mariadbDeleteRowsCompressed)
  )
}

const anew = 'then load the pipelines of this source anew'

const remedies: ReadonlyMap<number, string> = new Map([
  [eventType.transactionPayload, `SET GLOBAL binlog_transaction_compression = OFF, ${anew}`],
  [eventType.partialUpdateRows, `SET GLOBAL binlog_row_value_options = '', ${anew}`],
  [eventType.anonymousGtid, `SET GLOBAL gtid_mode = ON, ${anew}`],
  [26, `the server says that its binlog lacks changes; see its error log, ${anew}`],
  ...[6, 8, 9, 10, 11, 12, 17, 18].map((type): [number, string] => [
    type,
    `SET GLOBAL binlog_format = ROW, ${anew}`,
  ]),
  ...[165, 166, 167, 168, 169, 170, 171].map((type): [number, string] => [
    type,
    `SET GLOBAL log_bin_compress = OFF, ${anew}`,
  ]),
])

export function refusalOf(type: number): Failure {
  return new Failure('unsupported', `this version cannot read the binlog event ${eventName(type)}`, {
    remedy: remedies.get(type) ?? `use a version of millrace that knows this event, ${anew}`,
  })
}

/** What cannot be understood is named with its place, so that a person finds it with mysqlbinlog. */
export function placed(error: unknown, place: string): unknown {
  if (!(error instanceof Failure)) return error
  const { kind, message, remedy } = error
  return new Failure(kind, `${message} (${place})`, {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
  })
}
