import { existsSync } from 'node:fs'
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { FileLock } from './lock.ts'
import type { Progress, Report } from './progress.ts'

/** Where fetched servers and prepared data directories are kept: outside every checkout, shared by all of them. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment['XDG_CACHE_HOME']
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'millrace')
}

export interface Filling {
  /** The folder to fill: it becomes the cached one, by a rename, when the filling has succeeded. */
  readonly tree: string
  /** A folder for downloads, deleted afterwards. */
  readonly scratch: string
}

/**
 * The folder cached under a key, filled first when it is not there. Only one process fills a key at a time, and what is
 * cut short is never seen by a later run.
 */
export async function cached(
  key: string,
  report: Report,
  fill: (filling: Filling) => Promise<void>,
): Promise<string> {
  const target = join(cacheDirectory(), key)
  if (existsSync(target)) return target
  const locks = join(cacheDirectory(), 'locks')
  await mkdir(locks, { recursive: true })
  const lock = await FileLock.hold(join(locks, key), () =>
    report({ server: key, doing: 'waiting for another process that is fetching it' }),
  )
  try {
    if (!existsSync(target)) await fillAndRename(target, fill)
  } finally {
    lock[Symbol.dispose]()
  }
  return target
}

async function fillAndRename(target: string, fill: (filling: Filling) => Promise<void>): Promise<void> {
  const filling = { tree: `${target}.partial`, scratch: `${target}.download` }
  const clear = async () => {
    for (const directory of [filling.tree, filling.scratch])
      await rm(directory, { recursive: true, force: true })
  }
  await clear()
  await mkdir(filling.tree)
  await mkdir(filling.scratch)
  try {
    await fill(filling)
    await rename(filling.tree, target)
  } finally {
    await clear()
  }
}

/** Reports how a folder grows while the work goes on: the programs that download for us show no progress themselves. */
export async function watchGrowth<Result>(
  directory: string,
  report: Report,
  progress: Progress,
  work: Promise<Result>,
): Promise<Result> {
  let measuring = false
  const measure = async () => {
    if (measuring) return
    measuring = true
    report({ ...progress, bytes: await sizeOf(directory) })
    measuring = false
  }
  const timer = setInterval(() => void measure(), 500)
  try {
    report(progress)
    return await work
  } finally {
    clearInterval(timer)
  }
}

/** The bytes of all files below a folder; files that vanish meanwhile count nothing. */
export async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  let bytes = 0
  for (const name of names) {
    const status = await lstat(join(directory, name)).catch(() => undefined)
    if (status?.isFile() === true) bytes += status.size
  }
  return bytes
}
