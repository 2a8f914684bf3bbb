/** A pipeline's parts without a daemon: what makes its documents from the source as it is now, and where they would go. */
import type { Table } from '../change/change.ts'
import type { OpenSource } from '../cli/parts.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import type { Shape } from '../document/definition.ts'
import type { Enricher } from '../document/enricher.ts'
import { isJoined } from '../document/joins.ts'
import { describeChildren, describeFields, joinedEnricher, readingBounds } from '../parts/joined.ts'
import { openSharing } from '../opening/cache.ts'
import { acceptedShape } from '../pipeline/index/column-gate.ts'
import type { IndexAdmin } from '../sink/sink.ts'
import type { Source } from '../source/source.ts'
import type { Target } from '../parts/target.ts'
import { Upstreams } from '../parts/upstreams.ts'
import { mapperOf, tablesOf, type Workshop } from '../parts/workshop.ts'

export interface AtRest extends AsyncDisposable {
  readonly source: Source & OpenSource
  readonly target: Target
  readonly table: Table
  readonly rowsEstimate: number
  /** The index under another alias; by default its own. */
  readonly index: (alias?: string) => IndexAdmin
  /** Of rows that were read. */
  readonly enrich: Enricher
}

/** Throws a Failure where the source cannot be reached, or lacks what the pipeline's file names. */
export async function openAtRest(workshop: Workshop, pipeline: Pipeline): Promise<AtRest> {
  await using opened = new AsyncDisposableStack()
  const source = await workshop.openSource(pipeline.source, tablesOf([pipeline]), {
    pipelines: [pipeline],
  })
  opened.defer(() => source.close())
  const target = workshop.target(pipeline.target.name)
  opened.defer(() => target.close())
  const sharing = openSharing(workshop.configuration.settings, () => {})
  opened.defer(() => sharing.close())
  const upstreams = await Upstreams.open(workshop, [pipeline], { sharing, observe: () => {} })
  opened.defer(() => upstreams.close())
  const { table, rowsEstimate } = await source.describe(pipeline.definition.table)
  const accepted = await acceptedOf(workshop, pipeline)
  const fields = accepted?.fields ?? (await describeFields(pipeline.definition, source))
  const children = await describeChildren(pipeline.definition, source)
  const refine = upstreams.refineFor(pipeline)
  const kept = opened.move()
  return {
    source,
    target,
    table,
    rowsEstimate,
    index: (alias) =>
      target.index(alias === undefined ? pipeline : oneIndex(pipeline, alias), fields, children),
    enrich: refine(ofRows(workshop, pipeline, accepted, source)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** The pipeline with all its documents in one index, whatever their periods. */
export function oneIndex(pipeline: Pipeline, index: string): Pipeline {
  return { ...pipeline, target: { ...pipeline.target, index, family: undefined } }
}

function ofRows(
  { configuration }: Workshop,
  pipeline: Pipeline,
  accepted: Shape | undefined,
  source: Source & OpenSource,
): Enricher {
  if (!isJoined(pipeline.definition)) {
    const mapper = mapperOf(pipeline, accepted)
    return (entries) => Promise.resolve(mapper.map(entries).works)
  }
  return joinedEnricher(pipeline, accepted, {
    ...readingBounds(configuration.settings),
    group: groupOf(pipeline),
    source,
    position: () => source.head(),
    confirmed: (read) => read(),
    observe: () => undefined,
    admit: () => Promise.resolve(),
  })
}

/** What a person has accepted of the table's columns; undefined = all of them. */
async function acceptedOf(workshop: Workshop, pipeline: Pipeline): Promise<Shape | undefined> {
  if (pipeline.policy.ddl === 'auto') return undefined
  const log = await workshop.readLog(pipeline.source)
  try {
    const group = (await log.groups()).find(({ name }) => name === groupOf(pipeline))
    return acceptedShape(group)
  } finally {
    await log.close()
  }
}
