/** Runs the command line in this process, in a folder of its own, and keeps what it printed. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { main } from '../../src/cli/cli.ts'
import type { Parts } from '../../src/cli/parts.ts'

export interface Ran {
  readonly code: number
  readonly out: readonly string[]
  readonly err: readonly string[]
}

export interface CommandLine {
  readonly folder: string
  readonly run: (...words: string[]) => Promise<Ran>
  /** The same, with this piped in. */
  readonly runWith: (input: string, ...words: string[]) => Promise<Ran>
  readonly write: (name: string, content: string) => void
  readonly read: (name: string) => string
}

/** `parts` are what a command composes; a command that wants others fails. */
export function commandLine(t: TestContext, parts?: Partial<Parts>): CommandLine {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return {
    folder,
    write(name, content) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), content)
    },
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    run: (...words) => runIn(folder, parts, words, ''),
    runWith: (input, ...words) => runIn(folder, parts, words, input),
  }
}

async function runIn(
  folder: string,
  parts: Partial<Parts> | undefined,
  words: readonly string[],
  input: string,
): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  let redact = asItIs
  const code = await main(words, {
    version: '1.2.3',
    environment: {},
    workingDirectory: folder,
    input: () => Readable.from([input]),
    out: (line) => out.push(...redact(line).split('\n')),
    err: (line) => err.push(...redact(line).split('\n')),
    progress: () => undefined,
    redactWith: (next) => (redact = next),
    compose: () => Promise.resolve(() => partsWith(parts ?? {})),
    signal: new AbortController().signal,
  })
  return { code, out, err }
}

function unasked(): never {
  throw new Error('this command was not expected to need this part')
}

function partsWith(given: Partial<Parts>): Parts {
  return {
    runDaemon: unasked,
    openSource: unasked,
    openLog: unasked,
    planLogSwitch: unasked,
    switchLog: unasked,
    examineTarget: unasked,
    examineState: unasked,
    localStatus: unasked,
    letterKinds: unasked,
    letters: unasked,
    verify: unasked,
    plan: unasked,
    preview: unasked,
    comparePipelines: unasked,
    documentTypes: unasked,
    transformOf: unasked,
    previewReplay: unasked,
    examineJoins: unasked,
    proposeMappings: unasked,
    ...given,
  }
}

function asItIs(text: string): string {
  return text
}

export const twoServers = `
sources: { main: { url: "mysql://app:open-sesame@db/" } }
targets: { primary: { url: "http://search:9200" } }
`
