/** At rest the index equals the table: every document as its row says, none without a row, dead letters for refused rows only. */
import { Mapper } from '../../src/document/mapping.ts'
import { verify } from '../../src/pipeline/verify/verify.ts'
import type { Values } from '../support/memory-database.ts'
import { hidden, hostile, table } from './application.ts'
import { definition, group } from './life.ts'
import type { World } from './world.ts'

/** Throws with everything that differs. */
export async function assertEqual(world: World): Promise<void> {
  const rows = world.database.rows(table).filter((row) => row['state'] !== hidden)
  const refused = new Set(rows.filter((row) => row['name'] === hostile).map(idOf))
  const wrong = [
    ...documentsAgainst(world, rows, refused),
    ...(await lettersAgainst(world, refused)),
    ...(await verified(world, refused)),
  ]
  if (wrong.length > 0) throw new Error(`at rest index and table differ:\n  ${wrong.join('\n  ')}`)
}

function* documentsAgainst(
  { target }: World,
  rows: readonly Values[],
  refused: ReadonlySet<string>,
): Generator<string> {
  const documents = target.index.documents()
  const expected = new Map(rows.map((row) => [idOf(row), JSON.stringify(row)]))
  for (const [id, text] of expected) {
    const found = documents.get(id)?.source
    // A refused row keeps its last good document, if it ever had one.
    if (refused.has(id) ? found === text : found !== text) yield `${id} is ${found}, the row is ${text}`
  }
  for (const [id, { source }] of documents)
    if (!expected.has(id)) yield `${id} is not in the table: ${source}`
}

async function lettersAgainst({ life }: World, refused: ReadonlySet<string>): Promise<string[]> {
  const letters = new Set<string>()
  for await (const letter of life.log?.deadLetters.list(group) ?? []) letters.add(letter.id)
  return [
    ...[...letters.difference(refused)].map((id) => `${id} has a dead letter, and no row to blame`),
    ...[...refused.difference(letters)].map((id) => `${id} has no dead letter`),
  ]
}

/** What the product's own check finds, the refused documents apart. */
async function verified(world: World, refused: ReadonlySet<string>): Promise<string[]> {
  const mapper = new Mapper(definition)
  const differences = verify(
    {
      table,
      source: world.plainSource(),
      index: world.target.index,
      enrich: (entries) => Promise.resolve(mapper.map(entries).works),
      lists: 'ordered',
      chunkRows: 40,
      chunkBytes: 10_000,
      idsMax: 70,
      rowsEstimate: 140,
      progress: () => undefined,
    },
    new AbortController().signal,
  )
  const found: string[] = []
  for await (const { id, kind } of differences) if (!refused.has(id)) found.push(`verify finds ${id} ${kind}`)
  return found
}

function idOf(row: Values): string {
  return String(row['id'])
}
