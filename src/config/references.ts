/**
 * References in text: `${NAME}` is an environment variable, `${NAME:-other}` the same with a value for when it is not
 * set, `${file:/path}` what a file contains without its last line break, `$$` a dollar sign.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { secretsOfUrl, type Secrets } from './secrets.ts'

export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Files with relative paths are looked up here. */
  readonly folder: string
  readonly secrets: Secrets
}

export interface Resolved {
  readonly text: string
  /** References that could not be resolved, each a sentence. */
  readonly missing: readonly string[]
}

export function resolveReferences(text: string, surroundings: Surroundings): Resolved {
  const missing: string[] = []
  const resolved = text.replaceAll(reference, (whole: string, inner: string | undefined) => {
    if (inner === undefined) return '$'
    const found = inner.startsWith('file:')
      ? fromFile(inner.slice(5), surroundings)
      : fromVariable(inner, surroundings)
    if (typeof found === 'string') return found
    missing.push(found.problem)
    return whole
  })
  return { text: resolved, missing }
}

const reference = /\$\$|\$\{([^}]*)\}/g

type Found = string | { readonly problem: string }

function fromFile(path: string, { folder, secrets }: Surroundings): Found {
  try {
    const content = readFileSync(resolve(folder, path), 'utf8').replace(/\r?\n$/, '')
    remember(content, secrets)
    return content
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
    return { problem: `the file ${path} cannot be read (${code})` }
  }
}

function fromVariable(inner: string, { environment, secrets }: Surroundings): Found {
  const [, name, preset] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner) ?? []
  if (name === undefined) {
    return {
      problem: `"\${${inner}}" is no reference: \${NAME}, \${NAME:-other} or \${file:/path}; a dollar sign is $$`,
    }
  }
  const value = environment[name]
  if (value === undefined || (value === '' && preset !== undefined)) {
    return preset ?? { problem: `the environment variable ${name} is not set` }
  }
  if (secretName.test(name)) remember(value, secrets)
  for (const part of secretsOfUrl(value)) secrets.add(part)
  return value
}

/** An ordinary variable, such as one with a level or a prefix, must stay readable in logs. */
const secretName = /pass|secret|token|key|credential/i

function remember(value: string, secrets: Secrets): void {
  const parts = secretsOfUrl(value)
  if (/^[a-z]+:\/\//.test(value)) for (const part of parts) secrets.add(part)
  else secrets.add(value)
}
