/**
 * Which events may be passed over. An event that is not known by its number stops capture, unless the server marks it as
 * one that those who do not know it may ignore: by that mark it promises that nothing depends on it.
 */
import { Failure } from '../../../change/failure.ts'
import { readAnew } from '../server/server-errors.ts'
import { eventName, eventType, isUnreadable, type BinlogEvent } from './binlog-events.ts'

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

const frame: ReadonlySet<number> = new Set([
  eventType.gtid,
  eventType.gtidTagged,
  eventType.mariadbGtid,
  eventType.rotate,
  eventType.formatDescription,
])

const ignorableFlag = 0x80

export function isHarmless({ type, flags }: BinlogEvent): boolean {
  return harmless.has(type) || ((flags & ignorableFlag) !== 0 && !isUnreadable(type) && !isRowEvent(type))
}

/** Whether the event tells what follows it, in whichever transaction. */
export function isFrame({ type }: BinlogEvent): boolean {
  return frame.has(type)
}

export function isRowEvent(type: number): boolean {
  return (
    (type >= eventType.writeRows && type <= eventType.deleteRows) ||
    (type >= eventType.writeRowsV1 && type <= eventType.deleteRowsV1)
  )
}

const anew = `then ${readAnew}`

const remedies: ReadonlyMap<number, string> = new Map([
  [eventType.anonymousGtid, `SET GLOBAL gtid_mode = ON, ${anew}`],
  [26, `the server says that its binlog lacks changes; see its error log, ${anew}`],
  ...[6, 8, 9, 10, 11, 12, 17, 18].map((type): [number, string] => [
    type,
    `SET GLOBAL binlog_format = ROW, ${anew}`,
  ]),
])

export function refusalOf(type: number): Failure {
  return new Failure('unsupported', `this version cannot read the binlog event ${eventName(type)}`, {
    remedy: remedies.get(type) ?? `use a version of millrace that knows this event, ${anew}`,
  })
}

/** `verb` is what the statement does. */
export function statementRefusal(verb = 'statement'): Failure {
  return new Failure('unsupported', `an ${verb} that is in the binlog as a statement, without its rows`, {
    remedy: `SET GLOBAL binlog_format = ROW, end the sessions with another format, ${anew}`,
  })
}

/** What cannot be understood is named with its place, so that a person finds it with mysqlbinlog. */
export function placed(error: unknown, place: string): unknown {
  if (isOverrun(error))
    return new Failure('corrupt', `a binlog event ends within a value (${place})`, { cause: error })
  if (!(error instanceof Failure)) return error
  const { kind, message, remedy } = error
  return new Failure(kind, `${message} (${place})`, {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
  })
}

/** What a buffer says when it is read behind its end: only an event that contradicts itself gets there. */
function isOverrun(error: unknown): boolean {
  return (
    error instanceof RangeError &&
    'code' in error &&
    (error.code === 'ERR_OUT_OF_RANGE' || error.code === 'ERR_BUFFER_OUT_OF_BOUNDS')
  )
}
