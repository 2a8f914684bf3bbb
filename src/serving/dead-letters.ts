/** What a person does with dead letters, over the logs that hold them. */
import { createHash } from 'node:crypto'
import type { Key } from '../change/change.ts'
import { keyFrom } from '../change/key.ts'
import { groupOf, isMeant, type Pipeline } from '../config/pipeline.ts'
import { nearest } from '../config/problems.ts'
import { Failure } from '../change/failure.ts'
import type { Letter, LetterAnswer, LetterChoice, LetterKind, Operations } from '../control/operations.ts'
import type { DeadLetter, DeadLetters } from '../log/log.ts'
import type { Observe } from '../pipeline/facts.ts'
import type { Touched, TouchRequest } from '../pipeline/capture/touches.ts'
import type { SourceAdmin } from '../source/source.ts'

export interface LetterPlace {
  readonly pipeline: Pipeline
  readonly deadLetters: DeadLetters
}

export interface LetterWork extends LetterPlace {
  readonly source: Pick<SourceAdmin, 'describe'>
  readonly capture: { touch(request: TouchRequest, signal: AbortSignal): Promise<Touched> }
}

/** The pipelines with the sources that are open. */
export function letterWorks(
  pipelines: readonly Pipeline[],
  opened: readonly (Pick<LetterWork, 'source' | 'capture'> & {
    readonly name: string
    readonly log: { readonly deadLetters: DeadLetters }
  })[],
): readonly LetterWork[] {
  return opened.flatMap(({ name, source, capture, log: { deadLetters } }) =>
    pipelines
      .filter((pipeline) => pipeline.source === name)
      .map((pipeline) => ({ pipeline, deadLetters, source, capture })),
  )
}

type LetterOperations = Pick<Operations, 'letterKinds' | 'letters' | 'redriveLetters' | 'dropLetters'>

/** What a daemon can be asked about them. */
export function letterOperations(
  places: readonly LetterWork[],
  observe: Observe,
  signal: AbortSignal,
): LetterOperations {
  return {
    letterKinds: (choice) => letterKinds(places, choice),
    letters: (choice, limit) => lettersOf(places, choice, limit),
    redriveLetters: (choice) => redriveLetters(places, choice, signal),
    dropLetters: (choice) => dropLetters(places, choice, observe),
  }
}

/** The places of the pipelines that are meant. Throws a Failure of kind `configuration` where there is none. */
function placesOf<Place extends LetterPlace>(
  places: readonly Place[],
  { pipeline: name }: LetterChoice,
): readonly Place[] {
  if (name === undefined) return places
  const meant = places.filter(({ pipeline }) => isMeant(pipeline, [name]))
  if (meant.length > 0) return meant
  const names = [...new Set(places.map(({ pipeline }) => pipeline.name))]
  const suggestion = nearest(name, names)
  throw new Failure('configuration', `there is no pipeline "${name}"`, {
    remedy: suggestion === undefined ? `there are: ${names.join(', ')}` : `did you mean "${suggestion}"?`,
  })
}

/** By pipeline and fingerprint, the most frequent first. */
export async function letterKinds(
  places: readonly LetterPlace[],
  choice: LetterChoice,
): Promise<readonly LetterKind[]> {
  const kinds: LetterKind[] = []
  for (const place of placesOf(places, choice)) kinds.push(...(await kindsAt(place, choice)))
  return kinds.toSorted((a, b) => b.count - a.count)
}

/** At most so many of them, whole. */
export async function lettersOf(
  places: readonly LetterPlace[],
  choice: LetterChoice,
  limit: number,
): Promise<readonly Letter[]> {
  const found: Letter[] = []
  for (const place of placesOf(places, choice)) {
    for await (const letter of chosen(place, choice)) {
      if (found.length >= limit) return found
      found.push(shown(place.pipeline, letter))
    }
  }
  return found
}

/** Touches the rows of the letters, each for its own target alone. Durable when it resolves. */
async function redriveLetters(
  places: readonly LetterWork[],
  choice: LetterChoice,
  signal: AbortSignal,
): Promise<LetterAnswer> {
  let [letters, until] = [0, 0]
  for (const place of placesOf(places, choice)) {
    if ((await place.deadLetters.count(groupOf(place.pipeline))) === 0) continue
    const { table } = await place.source.describe(place.pipeline.definition.table)
    const keys = async function* keysOf(): AsyncGenerator<Key> {
      for await (const letter of chosen(place, choice)) yield keyFrom(table, letter.key)
    }
    const touched = await place.capture.touch(
      { table, keys: keys(), addressee: groupOf(place.pipeline) },
      signal,
    )
    letters += touched.keys
    until = Math.max(until, touched.until)
  }
  return { letters, until }
}

/** Forgets them, durably when it resolves. */
async function dropLetters(
  places: readonly LetterPlace[],
  choice: LetterChoice,
  observe: Observe,
): Promise<LetterAnswer> {
  let letters = 0
  for (const place of placesOf(places, choice)) {
    const { deadLetters, pipeline } = place
    const group = groupOf(pipeline)
    let ids: string[] = []
    const settle = async (): Promise<void> => {
      await deadLetters.settle(group, ids)
      letters += ids.length
      ids = []
    }
    for await (const { id } of chosen(place, choice)) if (ids.push(id) >= droppedAtOnce) await settle()
    await settle()
    observe({ kind: 'dead-letters', group, open: await deadLetters.count(group) })
  }
  return { letters, until: 0 }
}

const droppedAtOnce = 1000

/** The letters of a place that are meant, one at a time: there may be very many. */
async function* chosen(
  { deadLetters, pipeline }: LetterPlace,
  { ids, keys, fingerprint }: LetterChoice,
): AsyncGenerator<DeadLetter> {
  const wanted = { ids: ids && new Set(ids), keys: keys && new Set(keys.map(spaceless)) }
  for await (const letter of deadLetters.list(groupOf(pipeline))) {
    if (wanted.ids?.has(letter.id) === false) continue
    if (wanted.keys?.has(spaceless(letter.key)) === false) continue
    if (fingerprint !== undefined && !isOfKind(letter, fingerprint)) continue
    yield letter
  }
}

/** `[42]`, however a person spaces it; a key of one value may be given as that value. */
function spaceless(key: string): string {
  const text = key.trim()
  return (text.startsWith('[') ? text : `[${text}]`).replace(/,\s+/g, ',')
}

function isOfKind({ fingerprint }: DeadLetter, wanted: string): boolean {
  return fingerprint === wanted || shortName(fingerprint) === wanted
}

function shortName(fingerprint: string): string {
  return createHash('sha256').update(fingerprint).digest('hex').slice(0, 8)
}

async function kindsAt(place: LetterPlace, choice: LetterChoice): Promise<readonly LetterKind[]> {
  const kinds = new Map<string, { count: number; firstAtMs: number; lastAtMs: number; example: DeadLetter }>()
  for await (const letter of chosen(place, choice)) {
    const known = kinds.get(letter.fingerprint)
    if (known === undefined) {
      const { firstAtMs, lastAtMs } = letter
      kinds.set(letter.fingerprint, { count: 1, firstAtMs, lastAtMs, example: briefly(letter) })
      continue
    }
    known.count++
    known.firstAtMs = Math.min(known.firstAtMs, letter.firstAtMs)
    known.lastAtMs = Math.max(known.lastAtMs, letter.lastAtMs)
  }
  const { name, target } = place.pipeline
  return [...kinds].map(([fingerprint, { count, firstAtMs, lastAtMs, example }]) => ({
    pipeline: name,
    target: target.name,
    name: shortName(fingerprint),
    fingerprint,
    count,
    firstAt: timeOf(firstAtMs),
    lastAt: timeOf(lastAtMs),
    exampleId: example.id,
    exampleReason: example.reason,
  }))
}

function briefly(letter: DeadLetter): DeadLetter {
  return { ...letter, document: undefined }
}

function shown({ name, target }: Pipeline, letter: DeadLetter): Letter {
  const { firstAtMs, lastAtMs, document = null, ...rest } = letter
  return {
    pipeline: name,
    target: target.name,
    ...rest,
    firstAt: timeOf(firstAtMs),
    lastAt: timeOf(lastAtMs),
    document,
  }
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString()
}
