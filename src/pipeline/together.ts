/** Several works that belong together: when one of them fails or ends, all end; the first failure is thrown. */
export async function together(
  signal: AbortSignal,
  works: readonly ((ending: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const stop = new AbortController()
  const ending = AbortSignal.any([signal, stop.signal])
  const failures: unknown[] = []
  const watch = async (work: (ending: AbortSignal) => Promise<void>): Promise<void> => {
    try {
      await work(ending)
    } catch (error) {
      if (!ending.aborted) failures.push(error)
    }
    stop.abort()
  }
  await Promise.all(works.map(watch))
  if (failures.length > 0) throw failures[0]
}
