import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { Failure } from '../../../../src/change/failure.ts'
import { openModule } from '../../../../src/upstream/module/module-upstream.ts'

const never = new AbortController().signal

suite('a module of the user’s', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-module-'))
  })
  after(() => rm(folder, { recursive: true }))

  async function opened(name: string, text: string, timeoutMs = 60_000) {
    const path = join(folder, `${name}.ts`)
    await writeFile(path, text)
    return await openModule({ name, path, questionsMax: 10, timeoutMs, graceMs: 100 })
  }

  test('answers each question, in order, with exact values', async () => {
    const upstream = await opened(
      'doubling',
      `export async function ask(questions: readonly { n: bigint }[]) {
         return questions.map(({ n }) => (n === null ? undefined : { twice: typeof n === 'bigint' ? n * 2n : n * 2 }))
       }`,
    )
    assert.deepEqual(await upstream.ask([{ n: '9007199254740993' }, { n: 'null' }, { n: '4' }], never), [
      '{"twice":18014398509481986}',
      undefined,
      '{"twice":8}',
    ])
  })

  test('that throws, that answers too little or not in time, has failed for now', async () => {
    const throwing = await opened('throwing', "export async function ask() { throw new Error('no idea') }")
    const short = await opened('short', 'export const ask = async () => []')
    const slow = await opened('slow', 'export const ask = () => new Promise(() => {})', 20)
    for (const [upstream, words] of [
      [throwing, /no idea/],
      [short, /does not answer each of 1 questions/],
      [slow, /did not answer within 20 ms/],
    ] as const) {
      await assert.rejects(upstream.ask([{ n: '1' }], never), (error) => {
        assert.ok(error instanceof Failure && error.kind === 'transient')
        assert.match(error.message, words)
        return true
      })
    }
  })

  test('that computes for ever harms nobody: it is left in time, and asked anew', async () => {
    const upstream = await opened(
      'busy',
      `export async function ask(questions: readonly { n: number }[]) {
         for (;;) if (questions[0]?.n !== 1) return questions.map(({ n }) => n)
       }`,
      500,
    )
    await assert.rejects(upstream.ask([{ n: '1' }], never), /did not answer within 500 ms/)
    for (;;) {
      // Until its thread is left, nobody else is heard there either.
      const answers = await upstream.ask([{ n: '2' }], never).catch(() => undefined)
      if (answers === undefined) continue
      assert.deepEqual(answers, ['2'])
      break
    }
    await upstream.close()
  })

  test('that ends its process, or throws where nobody waits, ends its own thread alone', async () => {
    const upstream = await opened(
      'ending',
      `export function ask(questions: readonly { n: number }[]) {
         if (questions[0]?.n === 1) process.exit(3)
         if (questions[0]?.n === 2) setTimeout(() => { throw new Error('late') })
         return questions[0]?.n === 3 ? ['here'] : new Promise(() => {})
       }`,
    )
    await assert.rejects(upstream.ask([{ n: '1' }], never), /failed: its thread ended with 3/)
    await assert.rejects(upstream.ask([{ n: '2' }], never), /failed: late/)
    assert.deepEqual(await upstream.ask([{ n: '3' }], never), ['"here"'])
    await upstream.close()
  })

  test('is told that nobody waits any more', async () => {
    const upstream = await opened(
      'told',
      `let ends = 0
       export async function ask(questions: readonly { n: number }[], { signal }: { signal: AbortSignal }) {
         if (questions[0]?.n === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve))
         return [questions[0]?.n === 1 ? ++ends : ends]
       }`,
    )
    const ending = new AbortController()
    const asked = upstream.ask([{ n: '1' }], ending.signal)
    assert.deepEqual(await upstream.ask([{ n: '2' }], never), ['0'])
    ending.abort(new Error('the end'))
    await assert.rejects(asked, /the end/)
    assert.deepEqual(await upstream.ask([{ n: '2' }], never), ['1'])
    await upstream.close()
  })

  test('that cannot be loaded, or has no such function, is refused with what to do', async () => {
    await assert.rejects(opened('broken', 'export function {'), /broken cannot be loaded/)
    await assert.rejects(opened('other', 'export const answer = 1'), /exports no function "ask"/)
  })
})
