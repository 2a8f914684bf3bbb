/** A command's options: one description from which parsing and help follow. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { nearest } from '../config/problems.ts'
import { UsageError, type Context } from './context.ts'

export interface Option {
  /** The name of its value in help; undefined = a switch. */
  readonly value?: string
  readonly repeatable?: boolean
  readonly help: string
}

export interface Command {
  readonly name: string
  /** One line. */
  readonly summary: string
  /** `PIPELINE`, `[FOLDER]`, `TABLE KEY...`; empty = none. */
  readonly positionals: string
  readonly options: Readonly<Record<string, Option>>
  /** What it does, for who has never seen it. */
  readonly about: string
  /** Command lines and what they do. */
  readonly examples: readonly (readonly [string, string])[]
  /** What each exit code means here, besides 2 for wrong usage or configuration. */
  readonly exits: readonly string[]
  readonly run: (args: Arguments, context: Context) => Promise<number>
}

export interface Arguments {
  readonly positionals: readonly string[]
  /** Whether a switch was given. */
  has(option: string): boolean
  /** The value of an option, or undefined. */
  value(option: string): string | undefined
  values(option: string): readonly string[]
}

/** Options of all commands that read the configuration. */
export const configurationOptions: Readonly<Record<string, Option>> = {
  config: { value: 'FILE', help: 'Settings of the process. Default: config/millrace.yaml' },
  set: { value: 'SETTING=VALUE', repeatable: true, help: 'Overrides one setting: --set log.segmentMb=64' },
}

export const jsonOption: Readonly<Record<string, Option>> = {
  json: { help: 'Print JSON for programs instead of text for people.' },
}

/** Throws a UsageError, with a suggestion where one is near. */
export function parseArguments(command: Command, words: readonly string[]): Arguments {
  const options = { ...command.options, help: helpOption }
  const parsed = parse(command, options, words)
  const given = parsed.values as Record<string, string | boolean | (string | boolean)[] | undefined>
  const values = (option: string) => [given[option] ?? []].flat().map(String)
  const args: Arguments = {
    positionals: parsed.positionals,
    has: (option) => given[option] === true,
    value: (option) => values(option).at(-1),
    values,
  }
  if (!args.has('help')) checkPositionals(command, parsed.positionals)
  return args
}

export function helpOf(command: Command): string {
  const options = { ...command.options, help: helpOption }
  const named = Object.entries(options).map(([name, option]): [string, string] => [
    `--${name}${option.value === undefined ? '' : ` ${option.value}`}`,
    option.repeatable === true ? `${option.help} (repeatable)` : option.help,
  ])
  const sections = [
    `${command.summary}\n\nUsage: millrace ${command.name} ${command.positionals}`.trimEnd() + ' [options]',
    command.about,
    `Options:\n${aligned(named)}`,
    `Examples:\n${command.examples.map(([line, effect]) => `  ${line}\n      ${effect}`).join('\n')}`,
    `Exit codes:\n${[...command.exits, '2  wrong usage or configuration'].map((line) => `  ${line}`).join('\n')}`,
  ]
  return sections.join('\n\n')
}

export function aligned(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')
}

const helpOption: Option = { help: 'Show this.' }

function parse(command: Command, options: Readonly<Record<string, Option>>, words: readonly string[]) {
  const config: ParseArgsConfig = {
    args: [...words],
    allowPositionals: true,
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value, repeatable }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', multiple: repeatable === true },
      ]),
    ),
  }
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(explainParseError(error as Error, Object.keys(options), command.name))
  }
}

function explainParseError(error: Error, known: readonly string[], command: string): string {
  const unknown = /Unknown option '-{1,2}([^']+)'/.exec(error.message)?.[1]
  if (unknown === undefined) return error.message.split('. ')[0] ?? error.message
  const suggestion = nearest(unknown, known)
  const hint = suggestion === undefined ? '' : `; did you mean --${suggestion}?`
  return `millrace ${command} has no option --${unknown}${hint}`
}

function checkPositionals(command: Command, given: readonly string[]): void {
  const wanted = command.positionals.split(' ').filter((word) => word !== '')
  const required = wanted.filter((word) => !word.startsWith('['))
  const many = command.positionals.endsWith('...') || command.positionals.endsWith('...]')
  const missing = required[given.length]
  if (missing !== undefined) throw new UsageError(`millrace ${command.name} needs ${missing}`)
  if (!many && given.length > wanted.length) {
    throw new UsageError(`millrace ${command.name} does not know what "${given[wanted.length] ?? ''}" is for`)
  }
}
