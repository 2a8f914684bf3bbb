import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { GuardedProcess } from '../../stack/guarded-process.ts'
import { isAlive } from '../../stack/state.ts'

test('the process id, the exit code and the signal are those of the command itself', async (context) => {
  const launch = await launchOptions(context)
  const counting = new GuardedProcess({ ...launch, command: ['/bin/sh', '-c', 'echo $$; exit 7'] })
  assert.deepEqual(await counting.exited, { code: 7, signal: null })
  assert.equal((await readFile(launch.logFile, 'utf8')).trim(), String(counting.pid))
  const sleeping = new GuardedProcess({ ...launch, command: ['sleep', '600'] })
  sleeping.signal('SIGTERM')
  assert.deepEqual(await sleeping.exited, { code: null, signal: 'SIGTERM' })
  assert.deepEqual(sleeping.exit, { code: null, signal: 'SIGTERM' })
})

test('input arrives and stays open', async (context) => {
  const launch = await launchOptions(context)
  const reading = new GuardedProcess({
    ...launch,
    command: ['/bin/sh', '-c', 'read -r line; echo "got $line"; exec cat'],
    input: Buffer.from('word\n'),
  })
  await until(async () => (await readFile(launch.logFile, 'utf8')) === 'got word\n')
  assert.equal(reading.exit, undefined)
  reading.signal('SIGTERM')
  await reading.exited
})

test('a command cannot outlive an owner that was killed', async (context) => {
  const { workingDirectory, logFile } = await launchOptions(context)
  const marker = join(workingDirectory, 'killed')
  const launch = { command: ['sleep', '600'], workingDirectory, logFile, killCommand: `: > ${marker}` }
  const program = `
    import { GuardedProcess } from ${JSON.stringify(import.meta.resolve('../../stack/guarded-process.ts'))}
    console.log(new GuardedProcess(${JSON.stringify(launch)}).pid)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(owner.stdout, 'data')) as [Buffer]
  const pid = Number(said.toString())
  assert(isAlive(pid))
  owner.kill('SIGKILL')
  await until(async () => !isAlive(pid))
  assert.equal(await readFile(marker, 'utf8'), '', 'the kill command ran as well')
})

async function launchOptions(context: TestContext) {
  const workingDirectory = await mkdtemp(join(tmpdir(), 'millrace-guard-'))
  context.after(() => rm(workingDirectory, { recursive: true }))
  return { workingDirectory, logFile: join(workingDirectory, 'log') }
}

/** Polls a fact; fails by the test's own time limit. */
async function until(fact: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await fact())) {
    assert(Date.now() < deadline, 'the fact did not come true within a minute')
    await delay(10)
  }
}
