/** Letters on a disk, the pipelines they belong to, and a capture that counts what is touched. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Table } from '../../src/change/change.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import type { Pipeline } from '../../src/config/pipeline.ts'
import { letterOperations, type LetterWork } from '../../src/serving/dead-letters.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { DeadLetter, DeadLetters } from '../../src/log/log.ts'
import { commandLine, twoServers } from './command-line.ts'
import { Facts } from './facts.ts'

const table: Table = {
  name: 'shop.orders',
  columns: [{ name: 'id', kind: 'integer', type: 'int', nullable: false }],
  key: [0],
}

export function letter(id: number, fingerprint = 'a kind'): DeadLetter {
  return {
    id: String(id),
    table: table.name,
    key: `[${id}]`,
    version: String(1000 + id),
    op: 'index',
    reason: `why ${id} was refused`,
    fingerprint,
    attempts: 1,
    firstAtMs: 1000 * id,
    lastAtMs: 1000 * id,
    document: JSON.stringify({ id, text: 'x'.repeat(300) }),
  }
}

function pipelinesIn(t: TestContext): readonly Pipeline[] {
  const { folder, write } = commandLine(t)
  write('config/millrace.yaml', `${twoServers}\n`)
  write('config/pipelines/items.yaml', 'table: shop.items\n')
  write('config/pipelines/orders.yaml', 'table: shop.orders\n')
  return loadConfiguration({ environment: {}, workingDirectory: folder }).pipelines
}

/** Letters on a disk. */
export async function lettersOn(t: TestContext): Promise<DeadLetters> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-letters-'))
  const log = await openEmbeddedLog({ directory })
  t.after(async () => {
    await log.close()
    rmSync(directory, { recursive: true })
  })
  return log.deadLetters
}

/** `taken` sees each key as it is touched. */
export async function letterOffice(
  t: TestContext,
  taken: (keys: number) => void = () => {},
  open: (t: TestContext) => Promise<DeadLetters> = lettersOn,
) {
  const deadLetters = await open(t)
  const touched: { keys: string[]; addressees: (string | undefined)[] } = { keys: [], addressees: [] }
  const works = pipelinesIn(t).map((pipeline): LetterWork => ({
    pipeline,
    deadLetters,
    source: { describe: () => Promise.resolve({ table, excluded: [], rowsEstimate: 1 }) },
    capture: {
      async touch({ keys, addressee }) {
        touched.addressees.push(addressee)
        let count = 0
        for await (const key of keys) {
          touched.keys.push(key)
          count++
          taken(count)
        }
        return { keys: count, until: 7 }
      },
    },
  }))
  const facts = new Facts()
  const operations = letterOperations(works, facts.observe, new AbortController().signal)
  return { deadLetters, operations, touched, facts }
}
