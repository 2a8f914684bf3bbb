import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commands } from '../../../src/cli/cli.ts'
import { Failure } from '../../../src/change/failure.ts'
import { commandLine, twoServers } from '../../support/command-line.ts'

test('help lists every command, and each explains itself with examples and exit codes', async (t) => {
  const { run } = commandLine(t)
  const { code, out } = await run('--help')
  assert.equal(code, 0)
  for (const { name, summary } of commands) {
    assert.ok(
      out.some((line) => line.includes(name) && line.includes(summary)),
      name,
    )
    const help = await run(name, '--help')
    assert.equal(help.code, 0)
    const text = help.out.join('\n')
    assert.match(text, new RegExp(`Usage: millrace ${name}`))
    assert.match(text, /Options:[^]*--help[^]*Examples:[^]*millrace [^]*Exit codes:[^]*2 {2}wrong usage/)
    assert.deepEqual((await run('help', name)).out, help.out)
  }
})

test('without a command the help goes to the errors and the code is 2', async (t) => {
  const { code, out, err } = await commandLine(t).run()
  assert.deepEqual([code, out.length], [2, 0])
  assert.match(err.join('\n'), /Usage: millrace COMMAND/)
})

test('the version is the package’s', async (t) => {
  assert.deepEqual(await commandLine(t).run('--version'), { code: 0, out: ['millrace 1.2.3'], err: [] })
})

test('an unknown command or option is answered with what was probably meant', async (t) => {
  const { run } = commandLine(t)
  const command = await run('stauts')
  assert.deepEqual(
    [command.code, command.err[0]],
    [2, 'millrace: there is no command "stauts"; did you mean "status"?'],
  )
  const option = await run('run', '--relaod', 'x')
  assert.equal(option.code, 2)
  assert.equal(option.err[0], 'millrace: millrace run has no option --relaod; did you mean --reload?')
  assert.equal((await run('verify')).err[0], 'millrace: millrace verify needs PIPELINE[@TARGET]')
  assert.match((await run('check', 'x')).err[0] ?? '', /does not know what "x" is for/)
  assert.equal((await run('status', '--config')).code, 2)
})

test('a failure is told with its remedy, without secrets, and its kind decides the code', async (t) => {
  for (const [kind, code] of [
    ['configuration', 2],
    ['transient', 3],
    ['unauthorised', 1],
  ] as const) {
    const failure = new Failure(kind, 'no entry for mysql://app:open-sesame@db/', {
      remedy: 'not open-sesame',
    })
    const { run, write } = commandLine(t, { runDaemon: () => Promise.reject(failure) })
    write('config/millrace.yaml', twoServers)
    write('config/pipelines/orders.yaml', 'table: shop.orders')
    const ran = await run('run')
    assert.equal(ran.code, code)
    assert.deepEqual(ran.err, ['millrace: no entry for mysql://••••@db/', '  remedy: not ••••'])
  }
})

test('a bug is not disguised as an answer', async (t) => {
  const { run, write } = commandLine(t, { runDaemon: () => Promise.reject(new TypeError('a bug')) })
  write('config/millrace.yaml', twoServers)
  write('config/pipelines/orders.yaml', 'table: shop.orders')
  await assert.rejects(run('run'), /a bug/)
})
