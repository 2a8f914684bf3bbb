import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import type { Log } from '../../src/log/log.ts'
import { MemoryDisk } from '../support/memory-disk.ts'
import { MemoryLog, MemoryLogContents } from '../support/memory-log.ts'
import { testLogMove } from './log-move.contract.ts'

testLogMove('from files to memory and back', async () => {
  const opened: Log[] = []
  const another = async (): Promise<Log> => {
    const log = await openEmbeddedLog({ directory: '/log', segmentBytes: 500, disk: new MemoryDisk() })
    opened.push(log)
    return log
  }
  const contents = new MemoryLogContents()
  const close = async (): Promise<void> => {
    for (const log of opened) await log.close()
  }
  return {
    from: await another(),
    to: new MemoryLog(contents, () => 1_000),
    another,
    offsetOf: (seq) =>
      contents.records.find(({ entry }) => (entry.version & 0xffff_ffff_ffffn) === BigInt(seq))?.entry
        .offset ?? contents.records.length,
    close,
  }
})
