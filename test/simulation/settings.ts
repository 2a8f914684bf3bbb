/** How one simulated run is set up: everything that may be small or large is either, by the seed. */
import type { DeliveryLimits } from '../../src/pipeline/delivery/lane.ts'
import type { LoadLimits } from '../../src/pipeline/load/first-load.ts'
import type { Random } from '../support/random.ts'

export interface Settings {
  readonly lanes: number
  readonly rowsAtStart: number
  /** Share of changes of which the stream does not show every column. */
  readonly shortened: number
  /** Row events in one piece of the source's stream. */
  readonly pieceRows: number
  readonly heartbeatMs: number
  readonly batchBytesMax: number
  readonly windowKeysMax: number
  readonly delivery: DeliveryLimits
  readonly load: LoadLimits
  readonly guardEveryMs: number
  /** What goes wrong most often with requests to the target, by its number; undefined = everything alike. */
  readonly faultAtMost: number | undefined
  readonly log: {
    readonly segmentBytes: number
    readonly chunkBytes: number
    readonly retentionBytes: number
    readonly retentionMs: number
    readonly ceilingBytes: number
    /** The ceiling is so low that a group may fall behind it. */
    readonly mayLose: boolean
  }
  /** Share of calls that take a while, and how long at most, ms. */
  readonly lingering: number
  readonly lingerMsMax: number
  /** How often each kind of trouble comes; 0 = never in this run. */
  readonly trouble: Readonly<Record<Trouble, number>>
}

export type Trouble =
  | 'kill'
  | 'powerCut'
  | 'stop'
  | 'stateLoss'
  | 'diskFull'
  | 'diskErrors'
  | 'sourceErrors'
  | 'targetDown'
  | 'targetFaults'
  | 'forgetDeletes'
  | 'indexDropped'
  | 'indexReplaced'
  | 'reload'
  | 'purge'
  | 'truncate'
  | 'rewrite'
  | 'barrierInLoad'
  | 'updateAll'
  | 'touch'

/** How often, where it happens at all: a chance per step. */
const chances: Readonly<Record<Trouble, number>> = {
  kill: 0.06,
  powerCut: 0.06,
  stop: 0.04,
  stateLoss: 0.015,
  diskFull: 0.03,
  diskErrors: 0.05,
  sourceErrors: 0.05,
  targetDown: 0.04,
  targetFaults: 0.3,
  forgetDeletes: 0.05,
  indexDropped: 0.03,
  indexReplaced: 0.015,
  reload: 0.02,
  purge: 0.015,
  truncate: 0.04,
  rewrite: 0.03,
  barrierInLoad: 0.5,
  updateAll: 0.04,
  touch: 0.1,
}

/** How many kinds of trouble a request to the target can meet. */
export const faultKinds = 7

export function drawSettings(random: Random): Settings {
  const segmentBytes = random.pick([2_000, 6_000, 20_000])
  const mayLose = random.next() < 0.3
  return {
    lanes: 1 + random.below(4),
    rowsAtStart: random.pick([0, 20, 150]),
    shortened: random.pick([0, 0, 0.2, 1]),
    pieceRows: random.pick([3, 20, 100]),
    heartbeatMs: random.pick([500, 5_000]),
    batchBytesMax: random.pick([300, 2_000, 20_000]),
    windowKeysMax: random.pick([3, 20, 500]),
    delivery: {
      requestCountMax: random.pick([1, 7, 50, 500]),
      requestBytesMax: random.pick([600, 20_000]),
      windowMs: random.pick([0, 0, 300]),
      attemptsMax: 15,
      waitSecondsMax: 30,
      batchAgeMs: random.pick([0, 0, 20]),
      queuedBytesMax: random.pick([100, 5_000, 100_000]),
    },
    load: {
      chunkRows: random.pick([1, 10, 60, 500]),
      chunkBytes: random.pick([500, 20_000]),
      rowsPerSecond: random.pick([0, 0, 100]),
      undeliveredBytesMax: random.pick([500, 100_000]),
    },
    guardEveryMs: random.pick([500, 5_000]),
    faultAtMost: random.next() < 0.5 ? random.below(faultKinds) : undefined,
    log: {
      segmentBytes,
      chunkBytes: random.pick([500, 10_000]),
      retentionBytes: random.pick([segmentBytes, 5 * segmentBytes]),
      retentionMs: random.pick([20_000, 3_600_000]),
      ceilingBytes: mayLose ? 20 * segmentBytes : 2 ** 30,
      mayLose,
    },
    lingering: random.pick([0, 0.05, 0.3]),
    lingerMsMax: random.pick([2, 20, 200]),
    trouble: drawTrouble(random),
  }
}

/** Each run has some kinds of trouble and lacks others: rare meetings of two kinds are not drowned by all the rest. */
function drawTrouble(random: Random): Settings['trouble'] {
  const share = random.pick([0.2, 0.5, 1])
  const drawn = Object.entries(chances).map(([kind, chance]) => [kind, random.next() < share ? chance : 0])
  return Object.fromEntries(drawn) as Settings['trouble']
}
