/** Makes parts of one configuration, for the daemon and for commands alike. */
import { Failure } from '../change/failure.ts'
import type { OpenSource } from '../cli/parts.ts'
import { fingerprint, unusedColumns } from '../config/fingerprint.ts'
import type { Configuration } from '../config/load.ts'
import { groupOf, type Pipeline } from '../config/pipeline.ts'
import type { Shape } from '../document/definition.ts'
import { Mapper } from '../document/mapping.ts'
import { isJoined, tablesIn } from '../document/joins.ts'
import { limitedTo, shapeOf } from '../document/shape.ts'
import type { Log } from '../log/log.ts'
import { openLog, readLog } from '../opening/log.ts'
import { mysqlSettings, openSource, type SourceWish } from '../opening/source.ts'
import type { Columns } from '../pipeline/index/column-gate.ts'
import type { FedGroup } from '../pipeline/feed.ts'
import { indexWishes } from './index-wishes.ts'
import { defineIndex } from '../sink/search/index-definition.ts'
import type { IndexAdmin, Throttle } from '../sink/sink.ts'
import type { MysqlSettings } from '../source/mysql/server/connection.ts'
import type { Source, SourceAdmin, TellServers } from '../source/source.ts'
import { checkJoins, describeChildren, describeFields } from './joined.ts'
import type { StatusPipeline } from '../status.ts'
import { openTarget, type Target } from './target.ts'

export interface SourceUse {
  readonly pipelines?: readonly Pipeline[]
  /** By table, the columns that nobody wants; by default those that the pipeline files leave out. */
  readonly unused?: Readonly<Record<string, readonly string[]>>
  readonly tell?: TellServers
}

/** What is opened is closed by whoever asked for it. */
export class Workshop {
  readonly configuration: Configuration

  constructor(configuration: Configuration) {
    this.configuration = configuration
  }

  pipelinesOf(source: string): readonly Pipeline[] {
    return this.configuration.pipelines.filter((pipeline) => pipeline.source === source)
  }

  /** For all pipelines of the source, where not for others. */
  async openSource(
    name: string,
    tables: readonly string[],
    { pipelines = this.pipelinesOf(name), unused = unusedByAll(pipelines), tell = () => {} }: SourceUse = {},
  ): Promise<Source & OpenSource> {
    return openSource(this.#wish(name, { pipelines, unused }), tables, tell)
  }

  /** A source's log, to write. Throws a Failure of kind `conflict` when another process has it. */
  openLog(source: string): Promise<Log> {
    return openLog(this.configuration.settings, source)
  }

  /** Throws a Failure of kind `lost` where there is none yet. */
  readLog(source: string): Promise<Log> {
    return readLog(this.configuration.settings, source)
  }

  /** Nothing is sent before it is first used. What is written keeps to the throttle. */
  target(name: string, throttle?: Throttle): Target {
    return openTarget(this.configuration, name, throttle)
  }

  /** The pipeline's index, as the table's present columns want it. */
  async openIndex(
    pipeline: Pipeline,
    target: Target,
    source: Pick<SourceAdmin, 'describe' | 'describeQuestion'>,
  ): Promise<IndexAdmin> {
    const fields = await describeFields(pipeline.definition, source)
    await checkJoins(pipeline.definition, source)
    return target.index(pipeline, fields, await describeChildren(pipeline.definition, source))
  }

  /** How a source's server is reached; without a name, the only one. */
  serverOf(name: string | undefined): MysqlSettings {
    const [only = ''] = Object.keys(this.configuration.settings.sources)
    const source = name ?? only
    return mysqlSettings(this.#wish(source, { pipelines: this.pipelinesOf(source), unused: {} }))
  }

  #wish(name: string, use: Pick<SourceWish, 'pipelines' | 'unused'>): SourceWish {
    const { sources, masks } = this.configuration.settings
    const settings = sources[name]
    if (settings === undefined) throw new Failure('configuration', `there is no source ${name}`)
    const { from = '' } = settings.reads
    return { name, settings, replica: sources[from], maskKey: masks.secret, ...use }
  }
}

/** What the pipeline's definition makes of its table's columns. */
export function columnsOf(pipeline: Pipeline, source: Pick<SourceAdmin, 'describe'>): Columns {
  const { definition, policy } = pipeline
  return {
    policy: policy.ddl,
    shapeOf: (table) => shapeOf(definition, table),
    present: async () => shapeOf(definition, (await source.describe(definition.table)).table),
    mappings: (fields) => {
      const names = new Set(fields.map(({ field }) => field))
      const wishes = indexWishes(pipeline, fields)
      const own = Object.entries(wishes.mappings).filter(([field]) => names.has(field))
      const { properties } = defineIndex({
        ...wishes,
        stamped: false,
        mappings: Object.fromEntries(own),
      })
      const texts = Object.entries(properties).map(([field, mapping]) => [field, JSON.stringify(mapping)])
      return Object.fromEntries(texts) as Record<string, string>
    },
  }
}

/** What a pipeline's documents are made by: limited to what was accepted of the columns, where that is its policy. */
export function mapperOf({ definition }: Pipeline, accepted: Shape | undefined): Mapper {
  return new Mapper(accepted === undefined ? definition : limitedTo(definition, accepted))
}

export function tablesOf(pipelines: readonly Pipeline[]): readonly string[] {
  return [...new Set(pipelines.flatMap(({ definition }) => tablesIn(definition)))]
}

/**
 * Columns that no pipeline of a table wants, be it for its conditions or ids: they never leave the source. A pipeline of
 * which `before` knows an earlier definition may be run with that one again, so that only what neither wants is left out.
 */
export function unusedByAll(
  pipelines: readonly Pipeline[],
  before: (pipeline: Pipeline) => string | undefined = () => undefined,
): Record<string, readonly string[]> {
  const unused: Record<string, readonly string[]> = {}
  const add = (columns: Readonly<Record<string, readonly string[]>>): void => {
    for (const [table, own] of Object.entries(columns))
      unused[table] = unused[table]?.filter((column) => own.includes(column)) ?? own
  }
  for (const pipeline of pipelines) {
    add(unusedColumns(fingerprint(pipeline)))
    const earlier = before(pipeline)
    if (earlier !== undefined) add(unusedColumns(earlier))
  }
  return unused
}

export function fedGroup(pipeline: Pipeline): FedGroup {
  const { definition } = pipeline
  return { group: groupOf(pipeline), table: definition.table, showsOneRow: !isJoined(definition) }
}

export function statusPipeline(pipeline: Pipeline): StatusPipeline {
  return {
    name: pipeline.name,
    group: groupOf(pipeline),
    source: pipeline.source,
    target: pipeline.target.name,
    index: pipeline.target.index,
    table: pipeline.definition.table,
  }
}
