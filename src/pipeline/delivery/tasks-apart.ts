/** Work of tasks (loads, replays, redrives, touches) goes another way than changes that somebody made just now. */
import { committedAtMsOf } from '../../change/records.ts'
import type { Enricher } from '../../document/enricher.ts'
import type { Operation, Outcome, Sink } from '../../sink/sink.ts'

/** The same operations; those that no commit asked for are known as a task's. */
export function tellingTasks(enrich: Enricher): Enricher {
  return async (entries, signal) => {
    const works = await enrich(entries, signal)
    return Array.from(works, ({ at, operation }) =>
      committedAtMsOf(entries.records, entries.place(at)) === 0
        ? { at, operation: { ...operation, isTask: true as const } }
        : { at, operation },
    )
  }
}

/** A sink that gives the operations of tasks to one and all others to the other; both lead to the same documents. */
export function tasksApart(others: Sink, tasks: Sink): Sink {
  return {
    async write(listed, signal) {
      const operations = [...listed]
      const [ofTasks, live] = [operations.filter(isOfTask), operations.filter((each) => !isOfTask(each))]
      if (ofTasks.length === 0) return await others.write(operations, signal)
      if (live.length === 0) return await tasks.write(operations, signal)
      const [done, written] = await settled([tasks.write(ofTasks, signal), others.write(live, signal)])
      const [ofTask, ofOthers] = [done.values(), written.values()]
      return operations.map((each): Outcome => {
        const outcome = (isOfTask(each) ? ofTask : ofOthers).next().value
        if (outcome === undefined) throw new Error('a sink answers for each operation')
        return outcome
      })
    },
  }
}

function isOfTask({ isTask }: Operation): boolean {
  return isTask === true
}

/** Bodies may be looked at until both have ended. */
async function settled<T>([one, other]: readonly [Promise<T>, Promise<T>]): Promise<readonly [T, T]> {
  await Promise.allSettled([one, other])
  return [await one, await other]
}
