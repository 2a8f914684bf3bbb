import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog, type EmbeddedLogOptions } from '../../src/log/embedded/embedded-log.ts'
import type { LogAdmin, ChangeLog, Log } from '../../src/log/log.ts'
import { insertOf, testTable, type Numbering } from '../support/changes.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { MemoryLog, MemoryLogContents } from '../support/memory-log.ts'
import { Random } from '../support/random.ts'
import { testLog, type LogSubject } from './log.contract.ts'

testLog('memory', () => {
  const contents = new MemoryLogContents()
  const open = (): Promise<MemoryLog> => Promise.resolve(new MemoryLog(contents, () => 1_000))
  const subject = { log: new MemoryLog(contents, () => 1_000), reopen: open, crash: open }
  return Promise.resolve({ ...subject, close: () => Promise.resolve() })
})

testLog('embedded on real files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  return embedded({ directory }, undefined, () => rm(directory, { recursive: true }))
})

testLog('embedded, segments of one frame', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  const small = { segmentBytes: 1, chunkBytes: 100 }
  return embedded({ directory, ...small }, undefined, () => rm(directory, { recursive: true }))
})

for (const seed of [1, 2, 3, 4])
  testLog(`embedded on a disk that forgets, seed ${seed}`, () => {
    const random = new Random(seed)
    const disk = new MemoryDisk({ random: () => random.next() })
    return embedded({ directory: '/log', segmentBytes: 2000, disk }, disk, () => Promise.resolve())
  })

/** The retention limits let a few segments be, and drop what `overflow` appends. */
async function embedded(
  options: EmbeddedLogOptions,
  disk: MemoryDisk | undefined,
  clean: () => Promise<void>,
): Promise<LogSubject> {
  const limits = { retentionBytes: 1_000_000, ceilingBytes: 1_000_000, retentionMs: 1e9 }
  const open = (): Promise<Log> => openEmbeddedLog({ segmentBytes: 300_000, ...limits, ...options })
  let log = await open()
  const reopen = async (): Promise<Log> => {
    await log.close()
    return (log = await open())
  }
  const crash = async (): Promise<Log> => {
    // Without a disk that can forget, closing is as near to dying as one process comes.
    if (disk === undefined) return reopen()
    disk.crash()
    return (log = await open())
  }
  return { log, reopen, crash, overflow, close: () => log.close().then(clean) }
}

async function overflow(log: ChangeLog & LogAdmin, numbering: Numbering): Promise<void> {
  const notes = testTable('shop.notes')
  for (let id = 0; id < 15; id++)
    await log.append(numbering.batch([insertOf(notes, id, 'x'.repeat(100_000))]))
}
