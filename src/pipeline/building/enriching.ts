/**
 * Documents with what upstreams know of them. One step after the other asks for all documents of a batch at once, and
 * writes the answers behind what the document has; what was not asked for stays byte for byte.
 *
 *   {"id":7,"city":42}  ── question {"city":42} ──▶  upstream  ── answer 21.5 ──▶  {"id":7,"city":42,"weather":21.5}
 */
import type { Failure } from '../../change/failure.ts'
import { parseExact, textOfExact } from '../../change/exact-json.ts'
import type { Enricher, Work } from '../../document/enricher.ts'
import { textBody, textOfBody, type Remark } from '../../sink/sink.ts'
import type { Question } from '../../upstream/upstream.ts'
import type { Inquiries } from './inquiries.ts'
import type { Reply } from './shared-answers.ts'

export interface EnrichStep {
  /** Where the answer goes in the document. */
  readonly field: string
  readonly upstream: string
  /** Parameter of the question: where its value is in the document, as a path of names. */
  readonly parameters: Readonly<Record<string, readonly string[]>>
  /** What a failure that patience did not mend does to the document. */
  readonly onFailure: 'stop' | 'dead-letter' | 'partial'
  /** What a document shows of which the upstream knows nothing. */
  readonly missing: 'null' | 'omit'
  readonly inquiries: Pick<Inquiries, 'ask'>
}

/** The upstream that a remark with this fingerprint speaks of; undefined = it speaks of none. */
export function upstreamOf(fingerprint: string): string | undefined {
  return /^upstream ([^:]+): /.exec(fingerprint)?.[1]
}

/** A document on its way through the steps. */
interface Draft {
  readonly at: number
  text: string
  /** What it lacks, or why it cannot be written. */
  remark: Remark | undefined
}

/** Its calls throw the failure of a step that stops, besides what `inner` throws. */
export function enriching(inner: Enricher, steps: readonly EnrichStep[]): Enricher {
  if (steps.length === 0) return inner
  return async (entries, signal) => {
    const works = [...(await inner(entries, signal))]
    const drafts = works.flatMap(({ operation }, at): Draft[] =>
      operation.op === 'index' ? [{ at, text: textOfBody(operation.body), remark: undefined }] : [],
    )
    for (const step of steps) await enrich(drafts, step, signal)
    return withDrafts(works, drafts)
  }
}

async function enrich(drafts: readonly Draft[], step: EnrichStep, signal: AbortSignal): Promise<void> {
  const asking: { readonly draft: Draft; readonly question: Question }[] = []
  for (const draft of drafts) {
    if (draft.remark?.kind === 'refused') continue
    const question = questionOf(draft.text, step)
    if (question === undefined) add(draft, step, undefined)
    else asking.push({ draft, question })
  }
  const replies = await step.inquiries.ask(
    asking.map(({ question }) => question),
    signal,
  )
  for (const [at, { draft }] of asking.entries()) settle(draft, step, replies[at])
}

/** undefined = a value that is asked with is null or not there: nobody need be asked. */
function questionOf(text: string, { parameters }: EnrichStep): Question | undefined {
  const document = parseExact(text)
  const question: Record<string, string> = {}
  for (const [parameter, path] of Object.entries(parameters)) {
    const value = valueAt(document, path)
    if (value === undefined || value === null) return undefined
    question[parameter] = textOfExact(value) ?? 'null'
  }
  return question
}

function valueAt(document: unknown, path: readonly string[]): unknown {
  let value = document
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  return value
}

function settle(draft: Draft, step: EnrichStep, reply: Reply | undefined): void {
  if (reply?.failure === undefined) return add(draft, step, reply?.answer)
  if (step.onFailure === 'stop') throw reply.failure
  draft.remark = remarkOf(step, reply.failure)
}

function remarkOf({ onFailure, upstream }: EnrichStep, { message, kind }: Failure): Remark {
  return {
    kind: onFailure === 'partial' ? 'lacking' : 'refused',
    reason: message,
    fingerprint: `upstream ${upstream}: ${kind}`,
  }
}

function add(draft: Draft, { field, missing }: EnrichStep, answer: string | undefined): void {
  if (answer === undefined && missing === 'omit') return
  const before = draft.text.slice(0, -1)
  draft.text = `${before}${before === '{' ? '' : ','}${JSON.stringify(field)}:${answer ?? 'null'}}`
}

function withDrafts(works: readonly Work[], drafts: readonly Draft[]): readonly Work[] {
  const changed = [...works]
  for (const { at, text, remark } of drafts) {
    const work = works[at]
    if (work?.operation.op !== 'index') continue
    // What an upstream says may differ the next time: the same version can have other content.
    const operation = { ...work.operation, body: textBody(text), repeatable: false }
    changed[at] = { ...work, operation: remark === undefined ? operation : { ...operation, remark } }
  }
  return changed
}
