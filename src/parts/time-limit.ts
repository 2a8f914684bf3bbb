/** Ends what computes for ever: nothing else would get a turn, for all pipelines share one thread. */
import { createContext, Script } from 'node:vm'

const nothing = (): void => {}
const place = createContext({ work: nothing }) as { work: () => void }
const script = new Script('work()')

/**
 * Does the work; false = it was ended after so many milliseconds, wherever it was. It has to be done when it returns: what it
 * leaves to be done later is not ended.
 */
export function within(limitMs: number, work: () => void): boolean {
  place.work = work
  try {
    script.runInContext(place, { timeout: limitMs })
    return true
  } catch (error) {
    if (isEnd(error)) return false
    throw error
  } finally {
    place.work = nothing
  }
}

/** It is an Error of the place, and none of ours. */
function isEnd(error: unknown): boolean {
  const isObject = typeof error === 'object' && error !== null
  return isObject && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
}
