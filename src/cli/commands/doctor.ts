import { Failure } from '../../change/failure.ts'
import type { Configuration } from '../../config/load.ts'
import type { Pipeline } from '../../config/pipeline.ts'
import type { RowDefinition } from '../../document/definition.ts'
import type { Finding } from '../../source/source.ts'
import { examineColumns } from '../columns.ts'
import { composed, configured } from '../configured.ts'
import { exit, UsageError } from '../context.ts'
import type { OpenSource, Parts } from '../parts.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

const services = ['mysql', 'rds', 'aurora', 'cloudsql']

export const doctor: Command = {
  name: 'doctor',
  summary: 'Look at the servers and say what is missing, with the statements that mend it.',
  positionals: '',
  options: {
    ...configurationOptions,
    ...jsonOption,
    managed: { value: 'SERVICE', help: 'How to mend it on a managed server: rds, aurora or cloudsql.' },
  },
  about: `Connects to every source and target of the configuration and prints one line for each fact: settings, grants, tables and
columns, targets and their indexes, the state folder. What is not as it should be comes with the statement that mends it,
on a managed server with the parameter to set. Changes nothing.

  ok    as it should be
  warn  works, with the drawback that the line names
  FAIL  millrace cannot work like this`,
  examples: [
    ['millrace doctor', 'before the first run, and when something is wrong'],
    ['millrace doctor --managed rds', 'with the parameters of the RDS parameter group'],
  ],
  exits: ['0  millrace can work', '1  at least one FAIL'],
  async run(args, context) {
    const service = args.value('managed') ?? 'mysql'
    if (!services.includes(service))
      throw new UsageError(`--managed knows ${services.slice(1).join(', ')}, not "${service}"`)
    const configuration = configured(args, context)
    const parts = await composed(configuration, context)
    const show = args.has('json') ? showJson : showText
    let fatal = false
    for await (const { subject, findings } of examinations(configuration, parts)) {
      for (const line of show(subject, findings, service)) context.out(line)
      fatal ||= findings.some(({ level }) => level === 'fatal')
    }
    return fatal ? exit.bad : exit.ok
  },
}

interface Examination {
  readonly subject: string
  readonly findings: readonly Finding[]
}

async function* examinations(
  { settings, pipelines }: Configuration,
  parts: Parts,
): AsyncGenerator<Examination> {
  yield { subject: 'state folder', findings: await parts.examineState() }
  for (const name of Object.keys(settings.sources)) {
    const own = pipelines.filter(({ source }) => source === name)
    yield { subject: `source ${name}`, findings: await examineSource(parts, name, own) }
  }
  for (const pipeline of pipelines) {
    yield { subject: `pipeline ${pipeline.label}`, findings: await parts.examineTarget(pipeline) }
  }
}

async function examineSource(
  parts: Parts,
  name: string,
  pipelines: readonly Pipeline[],
): Promise<readonly Finding[]> {
  let source: OpenSource
  try {
    source = await parts.openSource(name)
  } catch (error) {
    return [findingOf('connection', error)]
  }
  try {
    const tables = [
      ...new Set(
        pipelines.flatMap(({ definition }) => [
          ...tablesIn(definition),
          ...Object.keys(definition.sql?.triggers ?? {}),
        ]),
      ),
    ]
    const findings = [...(await source.examine(tables))]
    // Who cannot be reached has no columns to look at, and has been told of once.
    if (findings.some(({ level, fact }) => level === 'fatal' && fact === 'connection')) return findings
    for (const pipeline of pipelines.filter(({ target }) => target.isPrimary)) {
      findings.push(...(await columnsOf(source, pipeline)))
      if (pipeline.definition.children !== undefined || pipeline.definition.sql !== undefined)
        findings.push(...(await parts.examineJoins(pipeline, source)))
    }
    return findings
  } finally {
    await source.close()
  }
}

/** The root's and its children's, each once. */
function tablesIn({ table, children = {} }: RowDefinition): readonly string[] {
  const others = Object.values(children).flatMap((child) => [
    ...(child.through === undefined ? [] : [child.through.table]),
    ...tablesIn(child),
  ])
  return [...new Set([table, ...others])]
}

async function columnsOf(source: OpenSource, pipeline: Pipeline): Promise<readonly Finding[]> {
  try {
    return examineColumns(pipeline, await source.describe(pipeline.definition.table))
  } catch (error) {
    return [findingOf(`table ${pipeline.definition.table}`, error)]
  }
}

function findingOf(fact: string, error: unknown): Finding {
  if (!(error instanceof Failure)) throw error
  const found = { level: 'fatal', fact, found: error.message } as const
  return error.remedy === undefined ? found : { ...found, remedies: { mysql: error.remedy } }
}

const marks = { ok: 'ok  ', warning: 'warn', fatal: 'FAIL' } as const

function showText(subject: string, findings: readonly Finding[], service: string): readonly string[] {
  const width = Math.max(0, ...findings.map(({ fact }) => fact.length))
  const lines = findings.flatMap((finding) => {
    const line = `  ${marks[finding.level]}  ${finding.fact.padEnd(width)}  ${finding.found}`.trimEnd()
    const remedy = finding.remedies?.[service] ?? finding.remedies?.['mysql']
    if (finding.level === 'ok' || remedy === undefined) return [line]
    return [line, ...remedy.split('\n').map((text) => `        → ${text}`)]
  })
  return [subject, ...lines]
}

function showJson(subject: string, findings: readonly Finding[]): readonly string[] {
  return findings.map((finding) => JSON.stringify({ subject, ...finding }))
}
