import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parseExact, textOfExact } from '../../change/exact-json.ts'
import { Failure, messageOf } from '../../change/failure.ts'
import { casesFile, readCases, type Case } from '../../config/cases.ts'
import type { Pipeline } from '../../config/pipeline.ts'
import { composed, configured, pipelinesNamed } from '../configured.ts'
import { exit, type Context } from '../context.ts'
import type { TransformText } from '../parts.ts'
import { configurationOptions, jsonOption, type Command } from '../usage.ts'

export const test: Command = {
  name: 'test',
  summary: 'Run the examples of transforms, without any server.',
  positionals: '[PIPELINE...]',
  options: { ...configurationOptions, ...jsonOption },
  about: `A pipeline with a transform may have examples of what it makes of a document: pipelines/orders.yaml has them in
pipelines/cases/orders.yaml, a list of

  - name: closed orders have no document
    given: { id: 7, state: closed }
    expected: null

given is the document as the transform gets it (millrace types writes its type), expected is what is to come of it, or null.
Without a name, the examples of every pipeline that has some are run.`,
  examples: [
    ['millrace test', 'all examples'],
    ['millrace test orders --json', 'those of one pipeline, one line each, for programs'],
  ],
  exits: ['0  all came out as expected', '1  one did not'],
  async run(args, context) {
    const configuration = configured(args, context, true)
    const named = args.positionals.flatMap((name) => pipelinesNamed(configuration, name).slice(0, 1))
    const pipelines =
      named.length > 0 ? named : configuration.pipelines.filter((each) => isTried(each, context))
    const parts = await composed(configuration, context)
    const results: Result[] = []
    for (const pipeline of pipelines) {
      const cases = casesOf(pipeline, context)
      if (cases === undefined) throw withoutCases(pipeline)
      const transform = await parts.transformOf(pipeline)
      for (const each of cases) results.push(resultOf(pipeline, each, transform))
    }
    for (const result of results) context.out(args.has('json') ? JSON.stringify(result) : describe(result))
    const failed = results.filter(({ passed }) => !passed).length
    if (!args.has('json')) context.out(`${results.length - failed} passed, ${failed} failed`)
    return failed === 0 ? exit.ok : exit.bad
  },
}

interface Result {
  readonly pipeline: string
  readonly name: string
  readonly line: number
  readonly passed: boolean
  /** As JSON text; the message where the transform threw. */
  readonly found: string
  readonly expected: string
}

/** One target of a pipeline stands for them all. */
function isTried(pipeline: Pipeline, context: Context): boolean {
  const { transform, target } = pipeline
  return transform !== undefined && target.isPrimary && casesOf(pipeline, context) !== undefined
}

function casesOf({ origin }: Pipeline, { workingDirectory }: Context): readonly Case[] | undefined {
  const file = casesFile(origin)
  return readCases(resolve(workingDirectory, file), file)
}

function withoutCases({ name, origin }: Pipeline): Failure {
  const remedy = `write them into ${casesFile(origin)}`
  return new Failure('configuration', `the pipeline ${name} has no examples`, { remedy })
}

function resultOf({ name: pipeline }: Pipeline, each: Case, transform: TransformText): Result {
  const { name, line } = each
  const expected = textOfExact(each.expected) ?? 'null'
  const found = outcomeOf(transform, textOfExact(each.given) ?? '{}')
  const passed = found.text !== undefined && isDeepStrictEqual(parseExact(found.text), parseExact(expected))
  return { pipeline, name, line, passed, found: found.text ?? found.message, expected }
}

function outcomeOf(
  transform: TransformText,
  given: string,
): { readonly text: string; readonly message: '' } | { readonly text: undefined; readonly message: string } {
  try {
    return { text: transform(given) ?? 'null', message: '' }
  } catch (error) {
    return { text: undefined, message: messageOf(error) }
  }
}

function describe({ pipeline, name, line, passed, found, expected }: Result): string {
  if (passed) return `ok      ${pipeline}: ${name}`
  return `failed  ${pipeline}: ${name} (line ${line})\n        expected ${expected}\n        found    ${found}`
}
