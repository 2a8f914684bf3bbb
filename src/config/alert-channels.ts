/** Who is told of a pipeline's troubles. */
import type { PipelineFile } from './pipeline-schema.ts'
import { nearest, type Complain } from './problems.ts'
import type { Settings } from './schema.ts'

/** Names of channels of the settings: those that the file names, or all. */
export function alertChannelsOf(
  { policy }: PipelineFile,
  { alerts }: Settings,
  complain: Complain,
): readonly string[] {
  const known = Object.keys(alerts.channels)
  const named = policy?.alerts ?? known
  for (const [at, name] of named.entries()) {
    if (!known.includes(name))
      complain(['policy', 'alerts', String(at)], `there is no channel "${name}" under alerts.channels`, {
        suggestion: nearest(name, known),
      })
  }
  return named
}
