/** How pipelines and the capture of their source come together: in one process, or over a log that several share. */
import type { Capture } from './pipeline/capture.ts'
import { FirstLoad, type FirstLoadParts } from './pipeline/first-load.ts'
import type { PipelineParts } from './pipeline/pipeline.ts'
import type { Source } from './source/source.ts'

type CaptureWays = Pick<PipelineParts, 'capture' | 'loading' | 'alone'>

/** Capture, loads and delivery in one process. */
export function captureHere(
  { source, capture }: { readonly source: Source; readonly capture: Capture },
  around: Pick<FirstLoadParts, 'group' | 'limits' | 'observe' | 'clock'>,
): CaptureWays {
  return {
    capture,
    loading: (load, ending) => new FirstLoad({ ...load, ...around, source, capture }).run(ending),
    alone: (work) => work(),
  }
}
