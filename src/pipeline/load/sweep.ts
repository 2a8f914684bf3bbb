/**
 * Documents below a version are of rows that the table no longer has: after a full load, which renewed all others, and
 * after a statement that left no rows. They are deleted with the highest version below it, so that a document that is
 * written meanwhile stays.
 */
import { Failure } from '../../change/failure.ts'
import type { ListedIndex, Operation, Sink, StoredDocument, Outcome } from '../../sink/sink.ts'
import type { Clock } from '../clock.ts'
import type { Letters } from '../delivery/letters.ts'
import { decide, failureOf } from '../retry-policy.ts'

export interface SweepParts {
  readonly index: ListedIndex
  readonly sink: Sink
  readonly letters: Letters
  readonly clock: Clock
  readonly highestVersion: () => bigint
}

export interface Swept {
  readonly below: bigint
  /** What was refused in a later version has a row; its last good document stays. */
  readonly keepsRefused: boolean
}

export async function sweep(
  parts: SweepParts,
  { below, keepsRefused }: Swept,
  signal: AbortSignal,
): Promise<{ readonly scanned: number; readonly deleted: number }> {
  const refused = await parts.letters.settleBelow(below)
  await parts.index.refresh()
  let [scanned, deleted] = [0, 0]
  for await (const page of parts.index.scan({ source: false }, signal)) {
    scanned += page.length
    const gone = page.filter(({ id, version }) => version < below && !(keepsRefused && refused.has(id)))
    refuseHigher(page, parts.highestVersion())
    deleted += await remove(parts, gone, below - 1n, signal)
  }
  await parts.index.refresh()
  return { scanned, deleted }
}

async function remove(
  { sink, clock }: SweepParts,
  documents: readonly StoredDocument[],
  version: bigint,
  signal: AbortSignal,
): Promise<number> {
  let operations: readonly Operation[] = documents.map(({ id, routing, index }) => ({
    op: 'delete',
    id,
    routing,
    ...(index === undefined ? {} : { index }),
    version,
    repeatable: true,
    body: undefined,
  }))
  let deleted = 0
  for (let attempt = 1; operations.length > 0; attempt++) {
    const outcomes = await sink.write(operations, signal)
    deleted += outcomes.filter((outcome) => outcome.kind === 'applied').length
    operations = operations.filter((_, at) => isAgain(outcomes[at]))
    if (operations.length === 0) break
    const decision = decide(failureOf(new Failure('overload', 'the target was busy during a sweep')), attempt)
    if (decision.kind === 'retry') await clock.sleep(decision.waitMs, signal)
  }
  return deleted
}

function isAgain(outcome: Outcome | undefined): boolean {
  return outcome?.kind === 'busy' || outcome?.kind === 'unknown'
}

function refuseHigher(page: readonly StoredDocument[], highest: bigint): void {
  const foreign = page.find((document) => document.version > highest)
  if (foreign === undefined) return
  throw new Failure(
    'conflict',
    `document ${foreign.id} has version ${foreign.version}, which this log never gave`,
    {
      remedy: 'delete the index (it will be made and filled anew), or name another one in the pipeline file',
    },
  )
}
