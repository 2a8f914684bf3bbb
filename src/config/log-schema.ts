/** Settings of the log: kept in files of this machine, or in Kafka. */
import { encryption } from './connection-schema.ts'
import { choice, flag, group, integer, number, secret, text, Type } from './schema-words.ts'

/** How brokers are reached. */
export const brokerSettings = {
  brokers: Type.Array(text('', { pattern: '^.+:\\d+$', examples: ['kafka1.example.com:9092'] }), {
    default: [],
    description: 'Some of the brokers, as host:port; the others are found.',
  }),
  tls: encryption('Encryption.', 'the certificates of the brokers'),
  sasl: group('How we prove who we are.', {
    mechanism: choice(
      ['none', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
      'none',
      'What the listener of the brokers asks for.',
    ),
    username: Type.Optional(text('The name of the user.')),
    password: Type.Optional(secret(text('The password of that user.'))),
  }),
}

const kafkaType = group('The brokers, where the log is kept in Kafka.', {
  brokers: brokerSettings.brokers,
  prefix: text(
    'The names of topics, consumer groups and transactional ids begin with it. {source} stands for the name of the source: needed where two sources have a table of the same name.',
    { pattern: '^[A-Za-z0-9._{}-]{1,100}$', default: 'millrace' },
  ),
  replication: integer(
    -1,
    -1,
    32_767,
    'On how many brokers each partition is kept; -1 = as the cluster has it by default.',
  ),
  compression: choice(
    ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    'lz4',
    'How what is written is compressed. lz4 costs less than it saves.',
  ),
  messageMb: number(
    16,
    0.1,
    1024,
    'max.message.bytes of the topics that are made: the largest row, as it is compressed.',
  ),
  sessionSeconds: integer(
    10,
    6,
    1800,
    'A process that dies, or hangs for so long, loses its lanes to others; one that is started again in the same state folder has them back at once. Brokers have bounds of their own: where group.consumer.min.session.timeout.ms (from 4.0 on, 45 s by default) is higher, it is as they say.',
  ),
  createTopics: flag(true, 'Make topics that are missing; otherwise they have to be there.'),
  tls: brokerSettings.tls,
  sasl: brokerSettings.sasl,
})

export const logType = group('The durable change log.', {
  kind: choice(
    ['embedded', 'kafka'],
    'embedded',
    'embedded (files in the state folder, for one process) or kafka (topics, from which several processes deliver).',
  ),
  kafka: kafkaType,
  segmentMb: number(64, 0.01, 4096, 'A file of the log is closed and the next begun at this size.'),
  retentionGb: number(
    10,
    0.001,
    100_000,
    'What every pipeline has delivered is kept up to this size in all ...',
  ),
  retentionHours: number(
    168,
    0,
    87_600,
    '... or up to this age, whichever comes first. In Kafka, where brokers do not ask who still needs it: everything is kept for so long.',
  ),
  ceilingGb: number(
    50,
    0.001,
    100_000,
    'Beyond this the oldest goes, delivered or not: a pipeline that still needed it must be loaded anew. In Kafka: of each table.',
  ),
  lanes: integer(
    3,
    1,
    64,
    'How many lanes deliver at once. Fixed when the log begins. In Kafka: the partitions of each topic.',
  ),
})
