/** What the compiler must refuse; checked by tsc alone. */
import type { Change, Key, Position, Row } from '../../src/change/change.ts'
import type { Outcome } from '../../src/sink/sink.ts'

declare const change: Change
declare const position: Position
declare const outcome: Outcome

// @ts-expect-error -- text from anywhere is not a position
export const fromText: Position = 'gtid'
// @ts-expect-error -- a row is not a key
export const rowAsKey: Key = '' as Row
// @ts-expect-error -- a position is not a row
export const positionAsRow: Row = position

if (change.op === 'delete') {
  const after: undefined = change.after
  // @ts-expect-error -- a delete has no row after it
  const row: Row = change.after
  void [after, row]
}

if (change.op === 'insert') {
  const after: Row = change.after
  // @ts-expect-error -- an insert has no row before it
  const before: Row = change.before
  void [after, before]
}

// @ts-expect-error -- only a rejected operation has a reason for good
export const fingerprint: string = outcome.fingerprint
