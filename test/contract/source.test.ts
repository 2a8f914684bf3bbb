import type { Clock } from '../../src/pipeline/clock.ts'
import { MemoryDatabase } from '../support/memory-database.ts'
import { MemorySource } from '../support/memory-source.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { testSource, type ItemWrite, type SourceSubject } from './source.contract.ts'

const table = 'shop.items'

testSource('memory', () => {
  const database = new MemoryDatabase(() => 1_000)
  database.createTable(
    table,
    [
      { name: 'id', kind: 'integer', type: 'int', nullable: false },
      { name: 'name', kind: 'string', type: 'varchar(250)', nullable: false },
      { name: 'amount', kind: 'integer', type: 'int', nullable: true },
    ],
    [0],
  )
  const source = new MemorySource({
    database,
    clock: hurried(),
    pieceRows: 3,
    heartbeatMs: 10,
    suffer: () => Promise.resolve(),
  })
  const subject: SourceSubject = {
    source,
    table,
    hugeRows: 20,
    write: (writes) => Promise.resolve(writeAll(database, writes)),
    truncate: () => Promise.resolve(database.truncate(table)),
    close: () => Promise.resolve(),
  }
  return Promise.resolve(subject)
})

function writeAll(database: MemoryDatabase, writes: readonly ItemWrite[]): void {
  database.transaction((writer) => {
    for (const write of writes) {
      const { op, id } = write
      const before = database.rows(table).find((row) => row['id'] === id) ?? {}
      if (op === 'insert') writer.insert(table, { id, name: write.name, amount: write.amount })
      else if (op === 'update') writer.update(table, before, { id, name: write.name, amount: write.amount })
      else if (op === 'rekey') writer.update(table, before, { ...before, id: write.to })
      else writer.delete(table, before)
    }
  })
}

/** A clock on which every wait is over as soon as nothing else can go on. */
function hurried(): Clock {
  const clock = new VirtualClock()
  return {
    now: () => clock.now(),
    elapsed: () => clock.elapsed(),
    random: () => clock.random(),
    sleep: (durationMs, signal) => {
      const asleep = clock.sleep(durationMs, signal)
      setImmediate(() => void clock.advance(durationMs))
      return asleep
    },
  }
}
