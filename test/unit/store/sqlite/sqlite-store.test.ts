import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Failure, type FailureKind } from '../../../../src/change/failure.ts'
import { openSqliteStore } from '../../../../src/store/sqlite/sqlite-store.ts'

function isFailure(kind: FailureKind): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.kind === kind && error.remedy !== undefined
}

async function inDirectory(work: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  try {
    await work(join(directory, 'state.db'))
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('a file of a later program is refused and left alone', () =>
  inDirectory(async (path) => {
    await openSqliteStore({ path }).close()
    const later = new DatabaseSync(path)
    later.exec('PRAGMA user_version = 99')
    later.close()
    assert.throws(() => openSqliteStore({ path }), isFailure('unsupported'))
    const after = new DatabaseSync(path)
    assert.equal(after.prepare('PRAGMA user_version').get()?.['user_version'], 99)
    after.close()
  }))

test('a file that is no database is named as corrupt', () =>
  inDirectory(async (path) => {
    await writeFile(path, 'this is not a database, and long enough to be sure of it'.repeat(100))
    assert.throws(() => openSqliteStore({ path }), isFailure('corrupt'))
  }))

test('two processes share one file: each sees what the other wrote', () =>
  inDirectory(async (path) => {
    const one = openSqliteStore({ path })
    const other = openSqliteStore({ path })
    await one.put('task', 'a', 0)
    assert.equal(await other.put('task', 'b', 0), undefined)
    assert.equal((await other.put('task', 'b', 1))?.revision, 2)
    assert.equal((await one.get('task'))?.value, 'b')
    await one.close()
    await other.close()
  }))
