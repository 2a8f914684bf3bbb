/** Brokers that ask who we are: one broker with a listener of each kind, and a clear error for each way it can be wrong. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs, { type AclResourceTypes } from 'kafkajs'
import { Failure, type FailureKind } from '../../src/change/failure.ts'
import { openKafkaLog, type KafkaLogOptions } from '../../src/log/kafka/kafka-log.ts'
import type { Log } from '../../src/log/log.ts'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { millrace } from '../support/command-process.ts'
import { DaemonProcess, type DaemonOptions } from '../support/daemon-process.ts'
import { startKafka, type KafkaServer } from '../stack/kafka.ts'
import { freePort } from '../stack/ports.ts'
import { startStack, type Stack } from '../stack/stack.ts'
import { allReached, entriesOf, insertOf, Numbering, readUntil, testTable } from '../support/changes.ts'
import { makeBrokerKey } from '../support/kafka-keys.ts'
import { kafkaOptions, withAdmin } from '../support/kafka-options.ts'

const lanes = 2
const group = 'orders@main'
const orders = testTable('shop.orders')
const password = 'a "long" p\\ssword'
const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'

type ClientSettings = KafkaLogOptions['client']
type Sasl = NonNullable<ClientSettings['sasl']>

const as = (mechanism: Sasl['mechanism'], username = 'millrace'): { readonly sasl: Sasl } => ({
  sasl: { mechanism, username, password: 'secret' },
})

suite('a broker that asks who we are', { concurrency: false }, () => {
  let stack: Stack
  let kafka: KafkaServer
  let authority: string
  let authorityFile: string
  let stranger: string

  before(async () => {
    stack = await startStack({ servers: [] })
    const own = await makeBrokerKey(stack.directory, 'broker')
    authority = own.certificate
    authorityFile = join(stack.directory, 'authority.pem')
    await writeFile(authorityFile, authority)
    stranger = (await makeBrokerKey(stack.directory, 'stranger')).certificate
    kafka = await startKafka({
      directory: stack.directory,
      scramUsers: { millrace: 'secret', nobody: 'secret', some: 'secret', other: 'secret' },
      settings: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS;User:millrace',
      },
      listeners: {
        tls: { protocol: 'SSL', settings: own.settings },
        plain: {
          protocol: 'SASL_PLAINTEXT',
          settings: {
            'sasl.enabled.mechanisms': 'PLAIN',
            'plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_millrace="secret";`,
          },
        },
        scram: {
          protocol: 'SASL_SSL',
          settings: {
            ...own.settings,
            'sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
            'scram-sha-256.sasl.jaas.config': scram,
            'scram-sha-512.sasl.jaas.config': scram,
          },
        },
      },
    })
    stack.add('kafka', kafka)
  })
  after(() => stack?.[Symbol.asyncDispose]())

  const client = (listener: string, more: Partial<ClientSettings>): ClientSettings => ({
    brokers: [kafka.listener(listener)],
    clientId: 'test',
    ...more,
  })
  const overTls = (): Partial<ClientSettings> => ({ tls: { ca: authority, verify: true, verifyName: true } })
  const byAnotherName = (verifyName: boolean): ClientSettings => ({
    ...client('tls', { tls: { ca: authority, verify: true, verifyName } }),
    brokers: [kafka.listener('tls').replace('127.0.0.1', 'localhost')],
  })

  const ways: Readonly<Record<string, () => ClientSettings>> = {
    TLS: () => client('tls', overTls()),
    'TLS with any certificate': () => client('tls', { tls: { verify: false, verifyName: false } }),
    'TLS by another name of the host': () => byAnotherName(false),
    PLAIN: () => client('plain', as('PLAIN')),
    'SCRAM-SHA-256 over TLS': () => client('scram', { ...overTls(), ...as('SCRAM-SHA-256') }),
    'SCRAM-SHA-512 over TLS': () => client('scram', { ...overTls(), ...as('SCRAM-SHA-512') }),
  }
  for (const [way, settings] of Object.entries(ways))
    test(`the log works by ${way}`, async () => {
      const options = kafkaOptions('', { prefix: `way-${randomUUID()}`, client: settings() })
      assert.deepEqual(await appendedAndRead(options), ['[1]', '[2]', '[3]'])
    })

  test('the log works where of several brokers only the last answers', async () => {
    const dead = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    const { brokers, ...rest } = client('scram', { ...overTls(), ...as('SCRAM-SHA-512') })
    const options = kafkaOptions('', {
      prefix: `several-${randomUUID()}`,
      client: { ...rest, brokers: [...dead, ...brokers] },
    })
    assert.deepEqual(await appendedAndRead(options), ['[1]', '[2]', '[3]'])
  })

  const wrongs: readonly (readonly [string, () => ClientSettings, FailureKind, RegExp, RegExp])[] = [
    [
      'a wrong password (PLAIN)',
      () => client('plain', { sasl: { mechanism: 'PLAIN', username: 'millrace', password } }),
      'unauthorised',
      /Authentication failed/i,
      /log\.kafka\.sasl/,
    ],
    [
      'a wrong password (SCRAM)',
      () =>
        client('scram', {
          ...overTls(),
          sasl: { mechanism: 'SCRAM-SHA-512', username: 'millrace', password },
        }),
      'unauthorised',
      /Authentication failed/i,
      /log\.kafka\.sasl/,
    ],
    [
      'an unknown user',
      () => client('scram', { ...overTls(), ...as('SCRAM-SHA-256', 'who') }),
      'unauthorised',
      /Authentication failed/i,
      /log\.kafka\.sasl/,
    ],
    [
      'a mechanism that the listener does not offer',
      () => client('plain', as('SCRAM-SHA-256')),
      'configuration',
      /mechanism/i,
      /log\.kafka\.sasl\.mechanism/,
    ],
    [
      'a certificate of an unknown authority',
      () => client('tls', { tls: { ca: stranger, verify: true, verifyName: true } }),
      'unauthorised',
      /self.signed certificate/i,
      /log\.kafka\.tls\.ca/,
    ],
    [
      'a certificate of another host',
      () => byAnotherName(true),
      'unauthorised',
      /localhost/,
      /log\.kafka\.tls\.ca/,
    ],
    ['no TLS where it is asked for', () => client('tls', {}), 'transient', /TLS/, /log\.kafka\.tls\.mode/],
    [
      'TLS where there is none',
      () => client('plain', { ...overTls(), ...as('PLAIN') }),
      'transient',
      /TLS/,
      /log\.kafka\.tls\.mode/,
    ],
    [
      'nobody said who we are',
      () => client('plain', {}),
      'transient',
      /./,
      /log\.kafka\.sasl|log\.kafka\.tls/,
    ],
  ]
  for (const [what, settings, ...expected] of wrongs)
    test(`${what} is a clear error`, async () => {
      const options = kafkaOptions('', { prefix: `wrong-${randomUUID()}`, client: settings() })
      await refused(appendedAndRead(options), ...expected)
    })

  test('what we may not do is named, with the grants that are missing', async () => {
    const prefix = `grants-${randomUUID()}`
    const options = kafkaOptions('', {
      prefix,
      client: client('scram', { ...overTls(), ...as('SCRAM-SHA-512', 'some') }),
    })
    const attempt = (message: RegExp, remedy: RegExp): Promise<void> =>
      refused(appendedAndRead(options), 'unauthorised', message, remedy)
    await attempt(/TOPIC_AUTHORIZATION_FAILED.*\[grants-[^,]*\.control\.main\]/, /CREATE.*log\.kafka\.prefix/)
    await allow(prefix, kafkajs.AclResourceTypes.TOPIC, 'some')
    await attempt(/transactional/i, /transactional id.*log\.kafka\.prefix/)
    await allow(prefix, kafkajs.AclResourceTypes.TRANSACTIONAL_ID, 'some')
    await attempt(/group/i, /consumer group.*log\.kafka\.prefix/)
    await allow(prefix, kafkajs.AclResourceTypes.GROUP, 'some')
    assert.deepEqual(await appendedAndRead(options), ['[1]', '[2]', '[3]'])
  })

  test('a daemon that brokers refuse says what it lacks, and goes on by itself once it is granted', async () => {
    const prefix = `daemon-${randomUUID()}`
    await using daemon = new DaemonProcess(daemonOptions(prefix, 'SCRAM-SHA-512'))
    await daemon.untilWaiting(/source main is waiting: .*TOPIC_AUTHORIZATION_FAILED/)
    const status = await millrace(['status'], join(stack.directory, prefix), noServers)
    assert.match(
      status.err,
      /let the user CREATE, DESCRIBE, .* every topic that begins with log\.kafka\.prefix/,
    )
    await allow(prefix, kafkajs.AclResourceTypes.TOPIC, 'other')
    const { sources } = await daemon.until('lack another grant', (answer) =>
      /TRANSACTIONAL_ID_AUTHORIZATION_FAILED/.test(answer.sources[0]?.error ?? ''),
    )
    assert.match(sources[0]?.remedy ?? '', /every transactional id that begins with log\.kafka\.prefix/)
  })

  test('a daemon whose settings no broker can take ends with the one to change', async () => {
    await using daemon = new DaemonProcess(daemonOptions(`daemon-${randomUUID()}`, 'PLAIN'))
    assert.equal((await daemon.exited).code, 2)
    assert.match(daemon.outputTail(), /remedy: set log\.kafka\.sasl\.mechanism/)
  })

  const noServers = { MYSQL_URL: 'mysql://nobody:x@127.0.0.1:1/', ELASTICSEARCH_URL: 'http://127.0.0.1:1' }

  function daemonOptions(prefix: string, mechanism: Sasl['mechanism']): DaemonOptions {
    return {
      directory: join(stack.directory, prefix),
      mysqlUrl: noServers.MYSQL_URL,
      elasticsearchUrl: noServers.ELASTICSEARCH_URL,
      pipelines: { orders: { table: 'shop.orders' } },
      settings: {
        log: {
          kind: 'kafka',
          kafka: {
            brokers: [kafka.listener('scram')],
            prefix,
            tls: { mode: 'verify', ca: authorityFile },
            ...as(mechanism, 'other'),
          },
        },
      },
    }
  }

  async function allow(prefix: string, resourceType: AclResourceTypes, user: string): Promise<void> {
    const rule = {
      resourceType,
      resourceName: prefix,
      resourcePatternType: kafkajs.ResourcePatternTypes.PREFIXED,
      principal: `User:${user}`,
      host: '*',
      operation: kafkajs.AclOperationTypes.ALL,
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
    }
    await withAdmin(kafka.broker, async (admin) => {
      await admin.createAcls({ acl: [rule] })
      // The broker that keeps to it hears of it a little later.
      while ((await admin.describeAcls(rule)).resources.length === 0) await delay(20)
    })
  }

  test('topics that are missing and may not be made are named, with what they must be', async () => {
    const options = kafkaOptions(kafka.broker, { prefix: `missing-${randomUUID()}` })
    await refused(
      appendedAndRead({ ...options, topics: { ...options.topics, create: false } }),
      'configuration',
      /there is no topic missing-.*\.control\.main/,
      /cleanup\.policy=compact.*log\.kafka\.createTopics/,
    )
  })

  test('a row that is larger than brokers take stops with the setting to raise', async () => {
    const options = kafkaOptions(kafka.broker, { prefix: `large-${randomUUID()}` })
    await refused(
      appendedAndRead(
        { ...options, compression: 'none', topics: { ...options.topics, messageBytesMax: 1000 } },
        5000,
      ),
      'configuration',
      /writing to .*MESSAGE_TOO_LARGE|too large/i,
      /max\.message\.bytes.*log\.kafka\.messageMb/,
    )
  })
})

/** All that a log does: its keys, appended, read and committed. */
async function appendedAndRead(options: KafkaLogOptions, textLength = 5): Promise<readonly string[]> {
  const log = await openKafkaLog(options)
  try {
    await log.tail()
    const numbering = new Numbering(lanes)
    const changes = [1, 2, 3].map((id) => insertOf(orders, id, 'x'.repeat(textLength)))
    const next = await log.append(numbering.batch(changes))
    await log.define({ name: group, tables: [orders.name], at: 0, attributes: {} })
    return await delivered(log, next)
  } finally {
    await log.close()
  }
}

async function delivered(log: Log, next: number): Promise<readonly string[]> {
  const reading = log.read(group, new AbortController().signal)
  const read = await readUntil(reading, allReached(next, lanes))
  return entriesOf(read).map(({ change }) => change.key)
}

async function refused(
  attempt: Promise<unknown>,
  kind: FailureKind,
  message: RegExp,
  remedy: RegExp,
): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert(error instanceof Failure, String(error))
    assert.match(error.message, message)
    assert.match(error.remedy ?? 'none', remedy)
    assert.equal(error.kind, kind)
    return true
  })
}
