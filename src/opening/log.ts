/** Opens a source's log: the one place that knows how logs are stored. */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../change/failure.ts'
import type { Settings } from '../config/schema.ts'
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts'
import { openKafkaLog, type KafkaLogOptions } from '../log/kafka/kafka-log.ts'
import { assertCurrent, type Log } from '../log/log.ts'
import { tlsOf } from './pem.ts'
import { gigabyte, megabyte } from '../units.ts'
import { version } from '../version.ts'

export type LogKind = Settings['log']['kind']

/** To write. Throws a Failure of kind `conflict` when another process has it, and where it is not the current one. */
export async function openLog(settings: Settings, source: string): Promise<Log> {
  const log = await openLogIn(settings.log.kind, settings, source)
  try {
    assertCurrent(await log.control())
    return log
  } catch (error) {
    await log.close()
    throw error
  }
}

/** To write, also where another goes on from it, or where it is to go on from another. */
export function openLogIn(kind: LogKind, settings: Settings, source: string): Promise<Log> {
  const { state, log } = settings
  if (kind === 'kafka') {
    const membersFile = join(state, 'kafka', `${source}.members.json`)
    return openKafkaLog({ ...kafkaOptions(settings, source), membersFile })
  }
  return openEmbeddedLog({
    directory: directoryOf(state, source),
    segmentBytes: Math.round(log.segmentMb * megabyte),
    retentionBytes: log.retentionGb * gigabyte,
    retentionMs: log.retentionHours * 3_600_000,
    ceilingBytes: log.ceilingGb * gigabyte,
  })
}

/** To look at, also while another process writes it. Throws a Failure of kind `lost` where there is none yet. */
export async function readLog(
  settings: Settings,
  source: string,
  kind: LogKind = settings.log.kind,
): Promise<Log> {
  const { state, log } = settings
  if (kind === 'kafka') return await openKafkaLog({ ...kafkaOptions(settings, source), readOnly: true })
  const directory = directoryOf(state, source)
  if (!existsSync(directory)) {
    throw new Failure('lost', `the source ${source} has no log in ${state} yet`, {
      remedy: 'millrace run begins it',
    })
  }
  return await openEmbeddedLog({ directory, readOnly: true, ceilingBytes: log.ceilingGb * gigabyte })
}

/** Moves away what an earlier move left or began in the state folder, which nobody needs; nothing else is ever moved away. */
export async function clearEmbedded({ state }: Settings, source: string): Promise<void> {
  const directory = directoryOf(state, source)
  const left = `${directory}.left`
  await rm(left, { recursive: true, force: true })
  await rename(directory, left)
  await rm(left, { recursive: true, force: true })
}

function directoryOf(state: string, source: string): string {
  return join(state, 'log', source)
}

function kafkaOptions({ log }: Settings, source: string): KafkaLogOptions {
  const { kafka, lanes, retentionHours, ceilingGb } = log
  if (kafka.brokers.length === 0)
    throw new Failure('configuration', 'log.kafka.brokers names no broker', {
      remedy: 'name some of the brokers as host:port',
    })
  return {
    client: brokersOf(kafka),
    prefix: kafka.prefix,
    source,
    version,
    topics: {
      replication: kafka.replication,
      retentionMs: Math.round(retentionHours * 3_600_000),
      retentionBytes: Math.ceil((ceilingGb * gigabyte) / lanes),
      messageBytesMax: Math.round(kafka.messageMb * megabyte),
      create: kafka.createTopics,
    },
    compression: kafka.compression,
    sessionMs: kafka.sessionSeconds * 1000,
  }
}

/** How brokers are reached, as settings say it. */
export function brokersOf({
  brokers,
  tls,
  sasl,
}: Pick<Settings['log']['kafka'], 'brokers' | 'tls' | 'sasl'>): KafkaLogOptions['client'] {
  const encryption = tlsOf(tls)
  return {
    brokers,
    clientId: 'millrace',
    ...(encryption === undefined ? {} : { tls: encryption }),
    ...(sasl.mechanism === 'none'
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism,
            username: sasl.username ?? '',
            password: sasl.password ?? '',
          },
        }),
  }
}
