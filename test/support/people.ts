/** People whose names, addresses and notes are to be masked, and what of them must not be found anywhere. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { SearchIndex, Source } from './search-index.ts'

export const maskSecret = 'a secret for masks in tests'

export async function createPeople(connection: Connection, schema: string, count: number): Promise<void> {
  await connection.query(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`)
  await connection.query(
    `CREATE TABLE ${schema}.people (id INT NOT NULL PRIMARY KEY, name VARCHAR(60), email VARCHAR(80) NOT NULL, ssn VARCHAR(40),
       born DATE, code VARCHAR(20) NOT NULL)`,
  )
  await connection.query(
    `CREATE TABLE ${schema}.notes (id INT NOT NULL PRIMARY KEY, person INT NOT NULL, body TEXT, secret VARCHAR(40), KEY (person))`,
  )
  const ids = Array.from({ length: count }, (_, id) => id)
  await connection.query(`INSERT INTO ${schema}.people VALUES ?`, [
    ids.map((id) => [
      id,
      hiddenText(`Ää${id}`),
      hiddenText(`e${id}`),
      hiddenText('ssn'),
      '1970-01-31',
      `${id}`,
    ]),
  ])
  await connection.query(`INSERT INTO ${schema}.notes VALUES ?`, [
    ids.map((id) => [id, id % 7, hiddenText(`body ${id}`), hiddenText('dropped')]),
  ])
}

/** A text that must stay where it is. */
export function hiddenText(what: string): string {
  return `${what} not-to-be-seen`
}

/** One pipeline that takes rows as they come, and one that joins them. */
export function peoplePipelines(schema: string): Readonly<Record<string, object>> {
  const masks = { email: 'hash', born: 'hash', ssn: 'drop', name: { truncate: 2 } }
  const table = `${schema}.people`
  const target = { settings: { number_of_replicas: 0 } }
  const notes = { table: `${schema}.notes`, on: { person: 'id' }, masks: { body: 'hash', secret: 'drop' } }
  return {
    [`${schema}_rows`]: { table, masks, target: { ...target, mappings: { code: { type: 'integer' } } } },
    [`${schema}_joined`]: { table, masks, children: { notes }, target },
  }
}

/** Every document, as the table's rows want it masked. */
export async function assertMasked(
  connection: Connection,
  schema: string,
  index: SearchIndex,
): Promise<void> {
  const wanted = new Map<string, Source>()
  const [people] = await connection.query<RowDataPacket[]>(
    `SELECT id, name, email, CAST(born AS CHAR) AS born, code FROM ${schema}.people`,
  )
  const [notes] = await connection.query<RowDataPacket[]>(`SELECT * FROM ${schema}.notes ORDER BY id`)
  for (const { id, name, email, born, code } of people) {
    const own = notes.filter(({ person }) => person === id)
    const masked = {
      id,
      name: Array.from(String(name)).slice(0, 2).join(''),
      email: hashOf(email),
      born: hashOf(born),
      code,
    }
    const shown = own.map((note) => ({ id: note['id'], person: id, body: hashOf(note['body']) }))
    wanted.set(String(id), index.name.endsWith('_joined') ? { ...masked, notes: shown } : masked)
  }
  await index.refresh()
  const found = new Map<string, Source>()
  for await (const { _id: id, _source: source } of index.documents()) found.set(id, source)
  assert(wanted.size > 0)
  assert.deepEqual(found, wanted)
}

function hashOf(value: unknown): string | null {
  if (value === null) return null
  return createHmac('sha256', maskSecret).update(JSON.stringify(value)).digest('hex')
}

/** Which files under a folder hold the bytes of a text. What goes away in the meantime, as files of a server do, holds none. */
export function filesWith(folder: string, text: string): readonly string[] {
  const entries = whileThere(() => readdirSync(folder, { withFileTypes: true })) ?? []
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesWith(path, text)
    return entry.isFile() && whileThere(() => readFileSync(path))?.includes(text) === true ? [path] : []
  })
}

function whileThere<Found>(look: () => Found): Found | undefined {
  try {
    return look()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
