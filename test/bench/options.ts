import { parseArgs } from 'node:util'

/** What the command line says in place of the defaults; undefined = the help was asked for, and has been shown. */
export function numbersAsked<Name extends string>(
  help: string,
  defaults: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> | undefined {
  const names = Object.keys(defaults) as Name[]
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
      help: { type: 'boolean' as const, default: false },
    },
  })
  const given: Readonly<Record<string, unknown>> = values
  if (given['help'] === true) {
    console.log(help)
    return undefined
  }
  const numbers = names.map((name) => [name, Number(given[name] ?? defaults[name])] as const)
  return Object.fromEntries(numbers) as Record<Name, number>
}
