import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerFindings } from '../../../src/offline/examine-brokers.ts'
import type { TopicSettings } from '../../../src/log/kafka/broker-settings.ts'

const ours = { replication: 3, messageMb: 16, sessionSeconds: 10 }
const well = {
  'min.insync.replicas': '2',
  'group.consumer.min.session.timeout.ms': '6000',
  'group.consumer.max.session.timeout.ms': '60000',
  'socket.request.max.bytes': '104857600',
  'transaction.max.timeout.ms': '900000',
}

function said(
  settings: Readonly<Record<string, string>>,
  topics: readonly TopicSettings[] = [],
  own: Partial<typeof ours> = {},
): readonly string[] {
  const found = { brokers: 3, settings: new Map(Object.entries(settings)), topics }
  return brokerFindings(found, { ...ours, ...own })
    .filter(({ level }) => level !== 'ok')
    .map(({ level, fact, found: text, remedies }) => `${level} ${fact}: ${text} → ${remedies?.['mysql']}`)
}

function topic(replication: number, settings: Readonly<Record<string, string>>): TopicSettings {
  return { name: 'm.work.main', replication, settings: new Map(Object.entries(settings)) }
}

function inSync(value: string): Readonly<Record<string, string>> {
  return { 'min.insync.replicas': value }
}

test('brokers that go together with our settings are fine', () => {
  assert.deepEqual(said(well), [])
  assert.deepEqual(said({}, [topic(3, { 'min.insync.replicas': '2', 'max.message.bytes': '16777216' })]), [])
})

test('replicas: too few to lose one, too many to miss one, and one that suffices', () => {
  assert.match(
    said(well, [], { replication: 1 }).join(),
    /^warning replicas: .*on one broker.*replication: 3/,
  )
  assert.match(said({ 'default.replication.factor': '1' }, [], { replication: -1 }).join(), /on one broker/)
  assert.match(said(well, [topic(3, inSync('3'))]).join(), /one that is away stops capture → .* to 2$/)
  assert.match(said(well, [topic(3, inSync('1'))]).join(), /m\.work\.main: on 3 .* may be lost .* to 2$/)
})

test('a session that brokers do not allow is longer than asked for or, before KIP-848, refused', () => {
  const least = said({ ...well, 'group.consumer.min.session.timeout.ms': '45000' }).join()
  assert.match(least, /^warning session timeout: .* for 45 s, not for 10 s.*sessionSeconds to 45$/)
  const older = { 'group.min.session.timeout.ms': '6000', 'group.max.session.timeout.ms': '1800000' }
  const most = said({ 'min.insync.replicas': '2', ...older }, [], { sessionSeconds: 3600 }).join()
  assert.match(most, /^fatal session timeout: .*group\.max\.session\.timeout\.ms is 1800 s/)
})

test('the narrowest way of a row is named, and a transaction timeout that brokers do not allow', () => {
  const narrow = topic(3, { 'min.insync.replicas': '2', 'max.message.bytes': '1048588' })
  assert.match(
    said(well, [narrow]).join(),
    /^warning largest row: 1 MB and not 16 MB.*m\.work\.main.*16777216$/,
  )
  assert.match(
    said({ ...well, 'transaction.max.timeout.ms': '20000' }).join(),
    /^fatal transactions: .*allow 20 s/,
  )
})
