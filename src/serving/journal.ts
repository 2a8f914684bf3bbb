/** What a person wants to know of the past: starts and stops, loads, indexes made, what failed. Kept in the store. */
import type { Clock } from '../pipeline/clock.ts'
import type { Fact, Observe } from '../pipeline/facts.ts'
import { Failure } from '../change/failure.ts'
import { tellHistory } from '../observe/notes.ts'
import type { Status } from '../control/operations.ts'
import type { Store } from '../store/store.ts'

type JournalEntry = Status['recent'][number]

export interface Journal {
  readonly observe: Observe
  readonly note: (what: string) => void
  /** The newest first. */
  readonly recent: () => Promise<Status['recent']>
  /** Resolves when everything noted is kept. */
  readonly close: () => Promise<void>
}

const stream = 'journal'
const recentMax = 20

export function createJournal(store: Store, clock: Clock): Journal {
  let writing: Promise<unknown> = Promise.resolve()
  const note = (what: string): void => {
    const entry: JournalEntry = { at: new Date(clock.now()).toISOString(), what }
    writing = writing.then(() => store.append(stream, JSON.stringify(entry))).catch(ignoreFailure)
  }
  return {
    observe(fact) {
      const what = notable(fact)
      if (what !== undefined) note(what)
    },
    note,
    recent: () => recentIn(store, clock),
    close: async () => {
      await writing
      await store.close()
    },
  }
}

/** The newest first. Of a store that cannot be read, that alone is told: whoever asks wants to know of the rest, too. */
export async function recentIn(store: Store, clock: Pick<Clock, 'now'>): Promise<Status['recent']> {
  try {
    const records = await store.newest(stream, recentMax)
    return records.map(({ record }) => JSON.parse(record) as JournalEntry)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [{ at: new Date(clock.now()).toISOString(), what: error.message }]
  }
}

/** A line that cannot be kept harms nothing: whatever is wrong with the disk, the log says it loudly. */
function ignoreFailure(error: unknown): void {
  if (!(error instanceof Failure)) throw error
}

function notable(fact: Fact): string | undefined {
  return ofDocuments(fact) ?? ofSource(fact)
}

function ofDocuments(fact: Fact): string | undefined {
  switch (fact.kind) {
    case 'index-created':
      return `${fact.group}: made the index ${fact.index}`
    case 'index-adopted':
      return `${fact.group}: took the index ${fact.index} in epoch ${fact.epoch}`
    case 'load-started':
      return `${fact.group}: reads ${fact.table} from row ${fact.rowsDone}`
    case 'load-finished':
      return `${fact.group}: has read ${fact.rowsDone} rows in ${Math.round(fact.seconds)} s`
    case 'swept':
      return `${fact.group}: swept ${fact.deleted} of ${fact.scanned} documents`
    case 'replay':
      return `${fact.addressee}: replay ${fact.phase}, ${fact.touched} keys`
    case 'columns-proposed':
      return `${fact.group}: ${tellProposal(fact)}`
    case 'pipeline-state':
      return failed(fact.group, fact)
    default:
      return undefined
  }
}

function ofSource(fact: Fact): string | undefined {
  switch (fact.kind) {
    case 'history-changed':
      return tellHistory(fact)
    case 'barrier':
      return `${fact.source}: ${fact.statement}`
    case 'source-state':
      return failed(fact.source, fact)
    default:
      return undefined
  }
}

function tellProposal({ mappings, table }: Extract<Fact, { kind: 'columns-proposed' }>): string {
  const fields = Object.entries(mappings).map(([field, mapping]) => `${field} ${mapping}`)
  return fields.length === 0
    ? `no column of ${table} is left to accept`
    : `new columns of ${table} are left out until they are accepted: ${fields.join(', ')}`
}

function failed(
  subject: string,
  fact: { readonly state: string; readonly failure: Failure | undefined },
): string | undefined {
  return fact.state === 'failed' ? `${subject}: failed: ${fact.failure?.message ?? ''}` : undefined
}
