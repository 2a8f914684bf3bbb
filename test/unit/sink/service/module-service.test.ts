import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ModuleService } from '../../../../src/sink/service/module-service.ts'
import { unlimited } from '../../../../src/sink/sink.ts'
import { refuses } from '../../../contract/sink.contract.ts'

const never = new AbortController().signal
const batch = {
  index: 'orders',
  uuid: 'u',
  operations: [
    {
      op: 'index',
      id: '1',
      version: 1n << 60n,
      repeatable: true,
      routing: undefined,
      json: '{"n":9007199254740993}',
    },
  ],
} as const

describe('a module that writes', () => {
  let folder = ''
  let files = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'modules-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  const open = (text: string, timeoutMs = 60_000): ModuleService => {
    const path = join(folder, `module${++files}.ts`)
    writeFileSync(path, text)
    return new ModuleService({ name: 'own', path, timeoutMs, throttle: unlimited })
  }

  it('gets documents as exact text and as values', async () => {
    const service = open(`
      export async function write({ operations }: { operations: readonly any[] }): Promise<unknown> {
        const [{ document, json, version }] = operations
        return [{ status: 'rejected', reason: String(document.n) + json + typeof version }]
      }`)
    const [result] = await service.write(batch, never)
    assert.equal(result?.reason, '9007199254740993{"n":9007199254740993}bigint')
  })

  it('is refused with what it lacks', async () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['export const write = 7', /has not the functions.*: write/],
      ['export function write() {}; export const list = 1', /: list/],
      ['export function write() {}; export function mark() {}', /mark without putMark/],
      ['export function write() {', /cannot be loaded/],
    ]
    for (const [text, message] of wrong) {
      const failure = await refuses('configuration', open(text).mark('orders'))
      assert.match(failure.message, message)
    }
    const whole = open('export async function write() { return [] }')
    assert.equal(await whole.mark('orders'), 'unkept')
    const page = { after: undefined, source: false }
    const failure = await refuses('configuration', whole.list('orders', page, never))
    assert.match(failure.remedy ?? '', /lists: false/)
  })

  it('is tried again when it throws, unless it says otherwise', async () => {
    const throwing = (error: string): ModuleService =>
      open(`export async function write() { throw ${error} }`)
    const failure = await refuses('transient', throwing('new Error("no route")').write(batch, never))
    assert.match(failure.message, /own failed: no route/)
    for (const kind of ['overload', 'target', 'unauthorised', 'rejected'] as const) {
      const error = `Object.assign(new Error("x"), { kind: "${kind}" })`
      await refuses(kind, throwing(error).write(batch, never))
    }
    await refuses('transient', open('export async function write() { return 7 }').write(batch, never))
  })

  it('is waited for so long and no longer', async () => {
    const silent = open('export async function write() { await new Promise(() => {}) }', 20)
    assert.match((await refuses('transient', silent.write(batch, never))).message, /within 0.02 s/)
    const stop = new AbortController()
    const reason = new Error('stopped')
    const waiting = open('export async function write() { await new Promise(() => {}) }').write(
      batch,
      stop.signal,
    )
    stop.abort(reason)
    await assert.rejects(waiting, reason)
  })
})
