/** Metrics of what documents are made from besides their own rows: other tables, and upstreams. */
import type { Fact } from '../pipeline/facts.ts'
import type { Make } from './metrics.ts'

const upstream = ['upstream'] as const
const pipeline = ['pipeline'] as const

export function documentMeters({ gauge, counter, histogram }: Make) {
  return {
    requests: counter(
      'upstream_requests_total',
      ['upstream', 'result'],
      'Requests to upstreams that documents are enriched from, by ok or the kind of failure.',
    ),
    requestSeconds: histogram('upstream_request_duration_seconds', upstream, 'How long these requests took.'),
    questions: counter('upstream_questions_total', upstream, 'Questions in those requests.'),
    spared: counter(
      'upstream_spared_questions_total',
      ['upstream', 'by'],
      'Questions that needed no request: a fresh answer was kept (cache), or another was asking the same (shared).',
    ),
    leftAlone: gauge(
      'upstream_left_alone',
      upstream,
      '1 while the upstream failed so often that it is not asked.',
    ),
    changes: counter(
      'derived_changes_total',
      pipeline,
      'Changes of joined tables that were followed to their documents.',
    ),
    roots: counter(
      'derived_documents_total',
      ['pipeline', 'way'],
      'Documents that are built anew because of them: at once, or page by page (fan-out) where very many show one row.',
    ),
    waiting: gauge('derived_fan_outs_waiting', pipeline, 'Rows whose very many documents are not all done.'),
  }
}

export function observeDocuments(meters: ReturnType<typeof documentMeters>, fact: Fact): void {
  switch (fact.kind) {
    case 'upstream-asked': {
      const labels = { upstream: fact.upstream }
      meters.requests.inc({ ...labels, result: fact.failure?.kind ?? 'ok' })
      meters.requestSeconds.observe(labels, fact.tookMs / 1000)
      meters.questions.inc(labels, fact.questions)
      break
    }
    case 'upstream-spared':
      meters.spared.inc({ upstream: fact.upstream, by: 'cache' }, fact.cached)
      meters.spared.inc({ upstream: fact.upstream, by: 'shared' }, fact.shared)
      break
    case 'upstream-state':
      meters.leftAlone.set({ upstream: fact.upstream }, fact.failure === undefined ? 0 : 1)
      break
    case 'derived':
      meters.changes.inc({ pipeline: fact.pipeline }, fact.changes)
      meters.roots.inc({ pipeline: fact.pipeline, way: 'at-once' }, fact.roots)
      break
    case 'fanned-out':
      meters.roots.inc({ pipeline: fact.pipeline, way: 'fan-out' }, fact.roots)
      meters.waiting.set({ pipeline: fact.pipeline }, fact.waiting)
      break
    default:
      break
  }
}
