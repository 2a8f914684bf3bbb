/** What each fact says in a line: level, message, fields. Never row values, ids or what a target quotes of a document. */
import type { Failure } from '../change/failure.ts'
import type { Fact, ServerHealth } from '../pipeline/facts.ts'
import { partsOfGroup } from './group.ts'

export type Level = 'debug' | 'info' | 'warn' | 'error'

export interface Note {
  readonly level: Level
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function noteOf(fact: Fact): Note {
  const { kind, ...rest } = fact
  const { failure, ...fields } = rest as typeof rest & { failure?: Failure }
  const [level, message] = tell(fact)
  return { level, message, fields: { fact: kind, ...withoutValues(fields), ...failureFields(failure) } }
}

function tell(fact: Fact): readonly [Level, string] {
  return (
    tellSource(fact) ??
    tellLoad(fact) ??
    tellDelivery(fact) ??
    tellCanary(fact) ??
    tellProcess(fact) ?? ['debug', fact.kind]
  )
}

function tellLease({ lease, state, owner, token }: Extract<Fact, { kind: 'lease' }>): string {
  switch (state) {
    case 'waiting':
      return `${lease}: ${owner} works; we stand by`
    case 'held':
      return `${lease}: is ours, number ${token}`
    case 'released':
      return `${lease}: given back`
    default:
      return `${lease}: lost: it was not renewed in time`
  }
}

type Told = readonly [Level, string] | undefined

function tellSource(fact: Fact): Told {
  switch (fact.kind) {
    case 'capture-started':
      return ['info', `${fact.source}: reading changes after ${fact.position}, epoch ${fact.epoch}`]
    case 'barrier':
      return ['info', `${fact.source}: ${fact.statement}: rows of ${fact.table} changed without being shown`]
    case 'history-changed':
      return ['warn', tellHistory(fact)]
    case 'source-servers':
      return ['info', `${fact.source}: ${fact.servers.map(tellServer).join(', ')}`]
    case 'source-endangered':
      return [
        'warn',
        `${fact.source}: in ${seconds(Math.max(0, fact.seconds))} the server may purge what is not captured yet; it keeps its binlog for ${seconds(fact.keptSeconds)}`,
      ]
    case 'append-failed':
      return ['error', `${fact.source}: the log cannot be written, capture waits: ${fact.failure.message}`]
    case 'source-interrupted':
      return ['warn', `${fact.source}: changes are not read now: ${withRemedy(fact.failure)}`]
    case 'source-state':
      return tellState(fact.source, fact.state, fact.failure)
    case 'restarting':
      return [
        'warn',
        `${fact.part}: ${fact.failure.message}; attempt ${fact.attempt + 1} in ${seconds(fact.waitMs / 1000)}`,
      ]
    case 'recovered':
      return ['info', `${fact.part}: works again`]
    default:
      return undefined
  }
}

function tellProcess(fact: Fact): Told {
  switch (fact.kind) {
    case 'replay':
      return ['info', `${fact.addressee}: replay ${fact.phase}, ${fact.touched} keys`]
    case 'cache-state':
      return fact.failure === undefined
        ? ['info', 'limits and answers are shared with other processes']
        : ['warn', `${fact.failure.message}; until it is back we keep to our own part of the limits`]
    case 'lease':
      return [fact.state === 'lost' ? 'warn' : 'info', tellLease(fact)]
    case 'stopping':
      return ['info', `stopping: ${fact.reason}`]
    case 'stopped':
      return ['info', 'stopped']
    default:
      return undefined
  }
}

export function tellHistory({
  source,
  epoch,
  why,
  undone,
  touched,
}: Extract<Fact, { kind: 'history-changed' }>): string {
  const what =
    undone === '' ? '' : ` (undone: ${undone.length > 300 ? `${undone.slice(0, 297)}...` : undone})`
  const again = touched === undefined ? 'every table is' : `${count(touched)} rows are`
  return `${source}: ${why}${what}; epoch ${epoch} begins, and ${again} read again`
}

function tellServer({ address, state, detail }: ServerHealth): string {
  return detail === null ? `${address} ${state}` : `${address} ${state}: ${detail}`
}

function tellLoad(fact: Fact): Told {
  switch (fact.kind) {
    case 'load-started':
      return [
        'info',
        `${nameOf(fact)}: reading ${fact.table}, about ${count(fact.rowsEstimate)} rows${fact.rowsDone > 0 ? `, ${count(fact.rowsDone)} of them done` : ''}`,
      ]
    case 'load-read':
      return [
        'info',
        `${nameOf(fact)}: ${fact.table} is read, ${count(fact.rowsDone)} rows; delivering the rest`,
      ]
    case 'swept':
      return [
        'info',
        `${nameOf(fact)}: ${count(fact.deleted)} of ${count(fact.scanned)} documents had no row`,
      ]
    case 'emptied':
      return [
        fact.deleted > 0 ? 'info' : 'debug',
        `${nameOf(fact)}: ${fact.statement}: ${count(fact.deleted)} documents are deleted`,
      ]
    case 'cascaded':
      return [
        fact.keys > 0 ? 'info' : 'debug',
        `${nameOf(fact)}: ${fact.statement}: ${count(fact.keys)} rows are read again`,
      ]
    case 'load-finished':
      return ['info', `${nameOf(fact)}: loaded, ${count(fact.rowsDone)} rows in ${seconds(fact.seconds)}`]
    default:
      return undefined
  }
}

function tellCanary(fact: Fact): Told {
  if (fact.kind !== 'canary') return undefined
  const ago = seconds(fact.seconds)
  if (fact.isFound) return ['debug', `${nameOf(fact)}: a search found the canary after ${ago}`]
  const why = fact.failure === undefined ? '' : `: ${fact.failure.message}`
  return ['warn', `${nameOf(fact)}: no search finds the canary, changed ${ago} ago${why}`]
}

function tellDelivery(fact: Fact): Told {
  switch (fact.kind) {
    case 'dead-letter':
      return ['warn', `${nameOf(fact)}: a document was refused for good and put aside: ${fact.fingerprint}`]
    case 'target-waiting':
      return [
        'warn',
        `${nameOf(fact)}: ${fact.failure.message}; attempt ${fact.attempt + 1} in ${seconds(fact.waitMs / 1000)}`,
      ]
    case 'target-ready':
      return ['info', `${nameOf(fact)}: the target takes writes again`]
    case 'upstream-state':
      return fact.failure === undefined
        ? ['info', `the upstream ${fact.upstream} answers again`]
        : ['warn', `the upstream ${fact.upstream} is left alone for a while: ${fact.failure.message}`]
    case 'index-created':
      return ['info', `${nameOf(fact)}: made the index ${fact.index}`]
    case 'index-adopted':
      return ['info', `${nameOf(fact)}: took over the index ${fact.index}, epoch ${fact.epoch}`]
    case 'columns-proposed':
      return tellProposal(fact)
    case 'group-endangered':
      return [
        'warn',
        `${nameOf(fact)}: ${Math.round(fact.share * 100)} % of the log's room or time is used up, then what is not delivered is dropped`,
      ]
    case 'group-lost':
      return ['error', `${nameOf(fact)}: the log dropped what was not delivered; run with --reload`]
    case 'pipeline-state':
      return tellState(fact.pipeline, fact.state, fact.failure)
    default:
      return undefined
  }
}

function tellProposal(fact: Extract<Fact, { kind: 'columns-proposed' }>): Told {
  const { mappings, table, pipeline } = fact
  const fields = Object.entries(mappings).map(([field, mapping]) => `${field} ${mapping}`)
  if (fields.length === 0) return ['info', `${pipeline}: no column of ${table} is left to accept`]
  return [
    'warn',
    `${pipeline}: new columns of ${table} are left out until they are accepted: ${fields.join(', ')}; run with --reload ${pipeline} to show them in every document, or with --keep ${pipeline} in those to come`,
  ]
}

function tellState(subject: string, state: string, failure: Failure | undefined): Told {
  if (failure === undefined) return ['info', `${subject}: ${state}`]
  // Who waits says why by another fact.
  return [state === 'failed' ? 'error' : 'debug', `${subject}: ${state}: ${withRemedy(failure)}`]
}

function withRemedy({ message, remedy }: Failure): string {
  return remedy === undefined ? message : `${message}; remedy: ${remedy}`
}

function nameOf({ group }: { readonly group: string }): string {
  return partsOfGroup(group).pipeline
}

/** An id is a row's key, a reason may quote a value; thousands of latencies say nothing in a line. */
const withheld = new Set(['id', 'reason', 'latenciesMs'])

function withoutValues(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !withheld.has(name)))
}

function failureFields(failure: Failure | undefined): Readonly<Record<string, unknown>> {
  if (failure === undefined) return {}
  const { kind, remedy, cause } = failure
  return {
    failure: kind,
    ...(remedy === undefined ? {} : { remedy }),
    ...(cause instanceof Error ? { cause: cause.message } : {}),
  }
}

function count(rows: number): string {
  return rows.toLocaleString('en-US')
}

function seconds(duration: number): string {
  return `${duration < 10 ? Math.round(duration * 10) / 10 : Math.round(duration)} s`
}
