/** Diagnostics as the settings want them, on the standard output. */
import type { Configuration } from '../config/load.ts'
import { createLogger } from '../observe/logger.ts'

export function loggerOf({ settings, redact }: Configuration): ReturnType<typeof createLogger> {
  const { level, format } = settings.logger
  const pretty = format === 'auto' ? process.stdout.isTTY : format === 'pretty'
  return createLogger({ level, pretty, redact, write: (line) => process.stdout.write(line) })
}
