import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import { OwnDeadLetters } from '../../src/log/embedded/dead-letters.ts'
import type { DeadLetters } from '../../src/log/log.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { MemoryLog, MemoryLogContents } from '../support/memory-log.ts'
import { Random } from '../support/random.ts'
import { testDeadLetters } from './dead-letters.contract.ts'

testDeadLetters('memory', () => {
  const contents = new MemoryLogContents()
  const open = (): DeadLetters => new MemoryLog(contents, () => 1000).deadLetters
  return Promise.resolve({
    deadLetters: open(),
    crash: () => Promise.resolve(open()),
    close: () => Promise.resolve(),
  })
})

for (const seed of [1, 2, 3])
  testDeadLetters(`embedded, seed ${seed}`, async () => {
    const random = new Random(seed)
    const disk = new MemoryDisk({ random: () => random.next() })
    const open = (): ReturnType<typeof openEmbeddedLog> => openEmbeddedLog({ directory: '/log', disk })
    let log = await open()
    const crash = async (): Promise<DeadLetters> => {
      disk.crash()
      log = await open()
      return log.deadLetters
    }
    return { deadLetters: log.deadLetters, crash, close: () => log.close() }
  })

testDeadLetters('embedded, written anew as soon as most of it is dead', async () => {
  const random = new Random(9)
  const disk = new MemoryDisk({ random: () => random.next() })
  await disk.makeDirectory('/letters')
  const open = (): OwnDeadLetters =>
    new OwnDeadLetters('/letters', { disk, now: () => 1000, compactBytes: 1 })
  const crash = (): Promise<DeadLetters> => {
    disk.crash()
    return Promise.resolve(open())
  }
  return { deadLetters: open(), crash, close: () => Promise.resolve() }
})
