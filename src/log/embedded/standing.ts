/** How a log stands: what its readers ask for, whoever writes it. */
import type { Offset } from '../../change/change.ts'
import type { Control } from '../log.ts'
import type { Extent } from './cursor.ts'
import type { GroupState } from './group-file.ts'
import type { WrittenSegment } from './segment.ts'

/** How the log stands: known to the process that writes it, looked up by every other one. */
export interface Standing extends Extent {
  control(): Promise<Control | undefined>
  /** One past the newest record. */
  next(): Promise<Offset>
  measured(): Promise<readonly WrittenSegment[]>
  /** With what is committed but not yet durable. */
  group(name: string): Promise<GroupState | undefined>
  /** What is durable. */
  groups(): Promise<readonly GroupState[]>
}
