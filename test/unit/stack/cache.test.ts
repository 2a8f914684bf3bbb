import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { cached, cacheDirectory } from '../../stack/cache.ts'
import { describeProgress, silent } from '../../stack/progress.ts'

test('the cache is where XDG_CACHE_HOME says, and in the home folder otherwise', () => {
  assert.equal(cacheDirectory({ XDG_CACHE_HOME: '/somewhere' }), '/somewhere/millrace')
  assert.match(cacheDirectory({}), /\.cache\/millrace$/)
})

test('what is asked for by several at the same time is fetched once', async (context) => {
  await useEmptyCache(context)
  let fillings = 0
  const ask = () =>
    cached('thing-1', silent, async ({ tree }) => {
      fillings += 1
      await writeFile(join(tree, 'program'), 'whole')
    })
  const paths = await Promise.all([ask(), ask(), ask()])
  assert.equal(fillings, 1)
  for (const path of paths) assert.equal(await readFile(join(path, 'program'), 'utf8'), 'whole')
})

test('a filling that fails leaves nothing behind and is tried again', async (context) => {
  const cache = await useEmptyCache(context)
  const failing = cached('thing-2', silent, async ({ tree, scratch }) => {
    await writeFile(join(tree, 'program'), 'half')
    await writeFile(join(scratch, 'download'), 'half')
    throw new Error('the line was cut')
  })
  await assert.rejects(failing, /the line was cut/)
  assert.deepEqual(await readdir(cache), ['locks'])
  const path = await cached('thing-2', silent, async ({ tree }) => {
    assert.deepEqual(await readdir(tree), [])
    await writeFile(join(tree, 'program'), 'whole')
  })
  assert.equal(await readFile(join(path, 'program'), 'utf8'), 'whole')
})

test('progress says how much of how much', () => {
  assert.equal(
    describeProgress({
      server: 'mysql@9.7',
      doing: 'downloading',
      bytes: 1_500_000,
      bytesExpected: 66_000_000,
    }),
    'mysql@9.7: downloading, 1.5 MB of 66 MB',
  )
  assert.equal(describeProgress({ server: 'mysql@9.7', doing: 'unpacking' }), 'mysql@9.7: unpacking')
})

async function useEmptyCache(context: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'millrace-cache-'))
  const before = process.env['XDG_CACHE_HOME']
  process.env['XDG_CACHE_HOME'] = home
  context.after(async () => {
    if (before === undefined) delete process.env['XDG_CACHE_HOME']
    else process.env['XDG_CACHE_HOME'] = before
    await rm(home, { recursive: true })
  })
  return join(home, 'millrace')
}
