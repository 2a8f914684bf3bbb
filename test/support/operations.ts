/** What a daemon can be asked, for tests of those who ask. */
import type { Operations, Status } from '../../src/control/operations.ts'

export const emptyStatus: Status = {
  version: '1',
  daemon: true,
  startedAt: null,
  sources: [],
  pipelines: [],
  recent: [],
}

/** A daemon that is well and has nothing to do, but for `change`. */
export function operationsWith(change: Partial<Operations> = {}): Operations {
  return {
    status: () => Promise.resolve(emptyStatus),
    touch: ({ keys }) => Promise.resolve({ touched: keys.length, until: 0, malformed: [] }),
    refresh: ({ pipeline = '' }) => Promise.resolve({ groups: [pipeline], busy: [] }),
    replay: () => Promise.reject(new Error('no replay was expected')),
    replays: () => Promise.resolve([]),
    cancelReplay: () => Promise.resolve(false),
    letterKinds: () => Promise.resolve([]),
    letters: () => Promise.resolve([]),
    redriveLetters: () => Promise.resolve({ letters: 0, until: 0 }),
    dropLetters: () => Promise.resolve({ letters: 0, until: 0 }),
    steer: (pipeline) => Promise.resolve({ groups: [pipeline] }),
    metrics: () => Promise.resolve(''),
    live: () => true,
    ready: () => ({ ready: true, reasons: [] }),
    ...change,
  }
}
