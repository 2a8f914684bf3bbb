/**
 * Loaded into a process before its program (`--import`): its clock jumps each time that it gets SIGUSR2, by the hours that
 * CLOCK_JUMPS names in turn, as if somebody set the machine's. What lasts and timers go on evenly, as they do then.
 */
const jumps = (process.env['CLOCK_JUMPS'] ?? '').split(',').map((hours) => Number(hours) * 3_600_000)
const RealDate = Date
let shiftMs = 0

process.on('SIGUSR2', () => {
  shiftMs += jumps.shift() ?? 0
})

globalThis.Date = class extends RealDate {
  constructor(...given: readonly unknown[]) {
    if (given.length === 0) super(RealDate.now() + shiftMs)
    else super(...(given as ConstructorParameters<typeof RealDate>))
  }

  static override now(): number {
    return RealDate.now() + shiftMs
  }
} as DateConstructor
