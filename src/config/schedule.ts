/** When something is to be done again and again: the fields of cron, in a time zone. */
import { Cron } from 'croner'
import { messageOf } from '../change/failure.ts'

export interface Schedule {
  /** Minute, hour, day of month, month, day of week; seconds may come before them. */
  readonly pattern: string
  /** Of the IANA's database. */
  readonly timezone: string
}

/** Why nobody can keep to it; undefined = one can. */
export function scheduleFault({ pattern, timezone }: Schedule): string | undefined {
  try {
    const next = new Cron(pattern, { timezone, paused: true, mode: '5-or-6-parts' }).nextRun()
    return next === null ? `"${pattern}" never comes` : undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** The first time after this one, ms since 1970; undefined = none comes. */
export function nextTime({ pattern, timezone }: Schedule, afterMs: number): number | undefined {
  const cron = new Cron(pattern, { timezone, paused: true, mode: '5-or-6-parts' })
  return cron.nextRun(new Date(afterMs))?.getTime()
}
