/** What doctor looks at where the log is in Kafka: settings of the brokers that do not go together with ours. */
import { explain, Failure } from '../change/failure.ts'
import type { Configuration } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { readBrokerSettings, type BrokerSettings } from '../log/kafka/broker-settings.ts'
import { transactionTimeoutMs } from '../log/kafka/writer.ts'
import { brokersOf } from '../opening/log.ts'
import type { Finding } from '../source/source.ts'
import { megabyte } from '../units.ts'
import { tablesOf } from '../parts/workshop.ts'

/** Of every source's log. Never throws for what is wrong. */
export async function examineBrokers({ settings, pipelines }: Configuration): Promise<readonly Finding[]> {
  if (settings.log.kind !== 'kafka') return []
  const { kafka } = settings.log
  const findings: Finding[] = []
  for (const source of Object.keys(settings.sources)) {
    const tables = tablesOf(pipelines.filter((pipeline) => pipeline.source === source))
    try {
      const found = await readBrokerSettings(brokersOf(kafka), { prefix: kafka.prefix, source, tables })
      findings.push(...brokerFindings(found, kafka))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      findings.push(warned('fatal', `brokers of ${source}`, explain(error), error.remedy))
    }
  }
  return findings
}

type Kafka = Pick<Settings['log']['kafka'], 'replication' | 'messageMb' | 'sessionSeconds'>

export function brokerFindings(found: BrokerSettings, kafka: Kafka): readonly Finding[] {
  return [
    { level: 'ok', fact: 'brokers', found: `${found.brokers} answer` },
    replicas(found, kafka),
    session(found, kafka),
    messages(found, kafka),
    transactions(found),
  ]
}

/** Of the topics that are there the weakest, else as they would be made. */
function replicas({ settings, topics }: BrokerSettings, { replication }: Kafka): Finding {
  const fact = 'replicas'
  const usual = replication > 0 ? replication : numberIn(settings, 'default.replication.factor', 1)
  const made = { name: 'new topics', replication: usual, settings }
  const [weakest = made] = topics.toSorted((one, other) => one.replication - other.replication)
  const kept = weakest.replication
  const needed = numberIn(weakest.settings, 'min.insync.replicas', 1)
  if (kept === 1)
    return warned(
      'warning',
      fact,
      `${weakest.name}: each partition is on one broker, and is lost with it`,
      threefold,
    )
  const held = `${weakest.name}: on ${kept} brokers, of which ${needed} must have a change`
  if (needed >= kept)
    return warned(
      'warning',
      fact,
      `${held}: one that is away stops capture`,
      `set min.insync.replicas to ${kept - 1}`,
    )
  if (needed === 1)
    return warned('warning', fact, `${held}: it may be lost with that one`, 'set min.insync.replicas to 2')
  return { level: 'ok', fact, found: held }
}

const threefold =
  'where that is not meant: log.kafka.replication: 3 and min.insync.replicas: 2, before the log begins'

/** Groups are of the newer kind where brokers know its settings. */
function session({ settings }: BrokerSettings, { sessionSeconds }: Kafka): Finding {
  const fact = 'session timeout'
  const isNewer = settings.has('group.consumer.min.session.timeout.ms')
  const kind = isNewer ? 'group.consumer' : 'group'
  const [least, most] = ['min', 'max'].map((end) => `${kind}.${end}.session.timeout.ms`)
  const [min, max] = [numberIn(settings, least, 0) / 1000, numberIn(settings, most, Infinity) / 1000]
  if (sessionSeconds >= min && sessionSeconds <= max)
    return { level: 'ok', fact, found: `${sessionSeconds} s, within the bounds of the brokers` }
  const [bound, name] = sessionSeconds < min ? [min, least] : [max, most]
  const remedy = `change ${name} of the brokers, or set log.kafka.sessionSeconds to ${bound}`
  const found = isNewer
    ? `lanes of a dead process are kept from others for ${bound} s, not for ${sessionSeconds} s: ${name}`
    : `the brokers refuse ${sessionSeconds} s: ${name} is ${bound} s`
  return warned(isNewer ? 'warning' : 'fatal', fact, found, remedy)
}

/** The narrowest of what a row has to go through. */
function messages({ settings, topics }: BrokerSettings, { messageMb }: Kafka): Finding {
  const fact = 'largest row'
  const request = {
    name: 'socket.request.max.bytes',
    bytes: numberIn(settings, 'socket.request.max.bytes', Infinity),
  }
  const ways = topics.map((topic) => ({
    name: `max.message.bytes of ${topic.name}`,
    bytes: numberIn(topic.settings, 'max.message.bytes', Infinity),
  }))
  const [narrowest = request] = [request, ...ways].toSorted((one, other) => one.bytes - other.bytes)
  if (narrowest.bytes >= messageMb * megabyte)
    return { level: 'ok', fact, found: `${messageMb} MB, as it is compressed` }
  const mb = Math.floor((narrowest.bytes / megabyte) * 10) / 10
  const found = `${mb} MB and not ${messageMb} MB, as it is compressed: ${narrowest.name}; a larger one stops capture`
  return warned('warning', fact, found, `raise it to ${Math.ceil(messageMb * megabyte)}`)
}

function transactions({ settings }: BrokerSettings): Finding {
  const fact = 'transactions'
  const name = 'transaction.max.timeout.ms'
  const max = numberIn(settings, name, Infinity)
  if (max >= transactionTimeoutMs)
    return { level: 'ok', fact, found: `may take the ${transactionTimeoutMs / 1000} s that we ask for` }
  const found = `the brokers allow ${max / 1000} s, and we ask for ${transactionTimeoutMs / 1000} s: ${name}`
  return warned('fatal', fact, found, `raise ${name} to ${transactionTimeoutMs} or more`)
}

function numberIn(settings: ReadonlyMap<string, string>, name = '', otherwise: number): number {
  const text = settings.get(name)
  return text === undefined ? otherwise : Number(text)
}

function warned(level: Finding['level'], fact: string, found: string, remedy: string | undefined): Finding {
  return remedy === undefined ? { level, fact, found } : { level, fact, found, remedies: { mysql: remedy } }
}
