/** What is deployed, held against the tools that will read it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { loadConfiguration } from '../../src/config/load.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { findProgram, run } from '../stack/command.ts'
import { hadolint, promtool } from '../support/deploy-tools.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const observability = resolve(root, 'deploy/observability')

test('Prometheus accepts the alert rules', async () => {
  await run(await promtool(), ['check', 'rules', 'alerts.yaml'], { workingDirectory: observability })
})

test('each alert fires when it should and not before', async () => {
  await run(await promtool(), ['test', 'rules', 'alerts.test.yaml'], { workingDirectory: observability })
})

test('Prometheus accepts the names and the text of the metrics', async () => {
  const metrics = createMetrics('1.2.3')
  metrics.observe({ kind: 'lag', group: 'a@b', pipeline: 'a', target: 'b', changes: 1, seconds: 2 })
  const text = await metrics.text()
  const own = text.split(/(?=# HELP )/).filter((part) => part.startsWith('# HELP millrace_'))
  execFileSync(await promtool(), ['check', 'metrics'], { input: own.join('') })
})

test('hadolint has nothing to say of the Dockerfile', async () => {
  await run(await hadolint(), [resolve(root, 'Dockerfile')])
})

interface Compose {
  readonly services: Readonly<
    Record<string, { ports?: string[]; volumes?: string[]; build?: { context: string } }>
  >
  readonly volumes: Readonly<Record<string, null>>
}

test('the compose file names folders and volumes that exist, and opens ports on this machine only', async () => {
  const file = resolve(root, 'deploy/compose.yaml')
  const compose = parse(readFileSync(file, 'utf8')) as Compose
  const services = Object.values(compose.services)
  for (const port of services.flatMap(({ ports }) => ports ?? []))
    assert.match(port, /^127\.0\.0\.1:\d+:\d+$/)
  for (const volume of services.flatMap(({ volumes }) => volumes ?? [])) {
    const [from = ''] = volume.split(':')
    if (from.startsWith('.')) assert.ok(existsSync(resolve(root, 'deploy', from)), volume)
    else assert.ok(from in compose.volumes, volume)
  }
  const context = compose.services['millrace']?.build?.context ?? ''
  assert.ok(existsSync(resolve(root, 'deploy', context, 'Dockerfile')))
  if (await hasCompose()) await run('docker', ['compose', '-f', file, 'config', '--quiet'])
})

async function hasCompose(): Promise<boolean> {
  if ((await findProgram('docker')) === undefined) return false
  return await run('docker', ['compose', 'version']).then(
    () => true,
    () => false,
  )
}

test('the committed configuration works with the environment that the compose file gives', () => {
  const environment = {
    MYSQL_URL: 'mysql://millrace:millrace@mysql:3306/',
    ELASTICSEARCH_URL: 'http://elasticsearch:9200',
    MILLRACE_STATE: '/state',
    MILLRACE_CONTROL_HOST: '0.0.0.0',
  }
  const kafka = { MILLRACE_LOG_KIND: 'kafka', MILLRACE_LOG_KAFKA_BROKERS: 'kafka:9092' }
  const inKafka = loadConfiguration({ environment: { ...environment, ...kafka }, workingDirectory: root })
  assert.deepEqual(
    [inKafka.settings.log.kind, ...inKafka.settings.log.kafka.brokers],
    ['kafka', 'kafka:9092'],
  )
  const { settings, pipelines } = loadConfiguration({ environment, workingDirectory: root })
  assert.equal(settings.control.host, '0.0.0.0')
  assert.deepEqual(
    pipelines.map(({ name, target }) => [name, target.index]),
    [
      ['cities', 'cities'],
      ['countries', 'countries'],
      ['regions', 'regions'],
    ],
  )
})
