import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { FileLock } from '../../stack/lock.ts'

test('a lock excludes everybody else until it is given back', async (context) => {
  const path = await lockPath(context)
  const lock = FileLock.try(path)
  assert(lock !== undefined)
  assert.equal(FileLock.try(path), undefined)
  let waited = 0
  const next = FileLock.hold(path, () => {
    waited += 1
    lock[Symbol.dispose]()
  })
  using held = await next
  assert(held instanceof FileLock)
  assert.equal(waited, 1)
})

test('the lock of a process that was killed is free', async (context) => {
  const path = await lockPath(context)
  const program = `
    import { FileLock } from ${JSON.stringify(import.meta.resolve('../../stack/lock.ts'))}
    const lock = FileLock.try(${JSON.stringify(path)})
    console.log(lock === undefined ? 'refused' : 'held')
    setInterval(() => lock, 60_000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(owner.stdout, 'data')) as [Buffer]
  assert.equal(said.toString().trim(), 'held')
  assert.equal(FileLock.try(path), undefined)
  owner.kill('SIGKILL')
  await once(owner, 'exit')
  using lock = FileLock.try(path)
  assert(lock !== undefined)
})

async function lockPath(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  context.after(() => rm(directory, { recursive: true }))
  return join(directory, 'lock')
}
