/** Facts as diagnostics: JSON for machines, lines for a terminal. */
import pino from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { Fact, Observe } from '../pipeline/facts.ts'
import { noteOf, type Level, type Note } from './notes.ts'
import { createSummary } from './summary.ts'

export interface LoggerRequest {
  readonly level: Level
  /** For people; otherwise one JSON object a line. */
  readonly pretty: boolean
  /** Takes secrets out of every line. */
  readonly redact: (text: string) => string
  /** Gets whole lines with their line break. */
  readonly write: (line: string) => void
}

export interface Logger {
  readonly observe: Observe
  /** Writes what has happened since the last summary; this happens every ten seconds by itself. */
  readonly summarise: () => void
  /** Ends the summaries, with a last one. */
  readonly close: () => void
}

const summaryMs = 10_000

export function createLogger({ level, pretty, redact, write }: LoggerRequest): Logger {
  const show = pretty
    ? prettyFactory({ colorize: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
    : same
  const lines = { write: (line: string) => write(redact(show(line))) }
  const logger = pino(
    {
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      base: { name: 'millrace' },
      formatters: { level: (label: string) => ({ level: label }) },
    },
    lines,
  )
  const say = ({ level: at, message, fields }: Note): void => logger[at]({ ...fields }, message)
  const summary = createSummary()

  const summarise = (): void => {
    for (const note of summary.take(performance.now())) say(note)
  }
  const timer = setInterval(summarise, summaryMs)
  timer.unref()
  return {
    observe(fact: Fact) {
      // What the summary tells is only told one by one to those who look closely.
      const isSummed = summary.observe(fact)
      if (!isSummed) say(noteOf(fact))
      else if (logger.isLevelEnabled('debug')) say({ ...noteOf(fact), level: 'debug' })
    },
    summarise,
    close() {
      clearInterval(timer)
      summarise()
    },
  }
}

function same(line: string): string {
  return line
}
