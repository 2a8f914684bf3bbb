/** The log in Kafka keeps to what every log keeps to, on each release of the brokers. */
import { randomUUID } from 'node:crypto'
import { after } from 'node:test'
import type { Log } from '../../src/log/log.ts'
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import { testDeadLetters } from '../contract/dead-letters.contract.ts'
import { testLog } from '../contract/log.contract.ts'
import { startStack } from '../stack/stack.ts'
import { kafkaOptions, overflowTopics } from '../support/kafka-options.ts'

for (const name of ['kafka@4.3', 'kafka@3.9']) {
  const stack = await startStack({ servers: [name] })
  after(() => stack[Symbol.asyncDispose]())
  const { broker } = stack.kafka

  testLog(name, async () => {
    const options = kafkaOptions(broker, { prefix: `log-${randomUUID()}` })
    const open = (): Promise<Log> => openKafkaLog(options)
    let log = await open()
    const reopen = async (): Promise<Log> => {
      await log.close()
      return (log = await open())
    }
    // The next one that takes over fences the one before, whether it ended or not.
    const crashed: Log[] = []
    const crash = async (): Promise<Log> => {
      crashed.push(log)
      return (log = await open())
    }
    const close = async (): Promise<void> => {
      for (const each of [...crashed, log]) await each.close()
    }
    return { log, reopen, crash, overflow: overflowTopics(options), close }
  })

  testDeadLetters(name, async () => {
    const options = kafkaOptions(broker, { prefix: `letters-${randomUUID()}` })
    let log = await openKafkaLog(options)
    return {
      deadLetters: log.deadLetters,
      crash: async () => {
        await log.close()
        log = await openKafkaLog(options)
        return log.deadLetters
      },
      close: () => log.close(),
    }
  })
}
