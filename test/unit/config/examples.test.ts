import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfiguration } from '../../../src/config/load.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const environment = {
  MYSQL_URL: 'mysql://user:password@db/',
  ELASTICSEARCH_URL: 'http://search:9200',
  KAFKA_BROKER: 'kafka:9092',
  WEATHER_URL: 'http://weather/batch',
  WEATHER_BATCH_URL: 'http://weather/slow',
  WEATHER_TOKEN: 'token',
}

test('the examples of settings are settings', () => {
  const files = [
    'millrace.yaml',
    'kafka.yaml',
    'debezium/millrace.yaml',
    'enrichment/millrace.yaml',
    'mappings/millrace.yaml',
  ]
  const [first, kafka, debezium, enrichment, mappings] = files
    .map((name) => `config/${name}`)
    .map((file) => loadConfiguration({ environment, workingDirectory: root, file }))
  assert.equal(first?.settings.log.kind, 'embedded')
  assert.equal(kafka?.settings.log.kind, 'kafka')
  assert.deepEqual(
    kafka?.pipelines.map(({ name }) => name),
    first?.pipelines.map(({ name }) => name),
  )
  assert.equal(debezium?.settings.sources['main']?.kind, 'debezium-topic')
  assert.deepEqual(
    debezium?.pipelines.map(({ name }) => name),
    ['customers', 'orders'],
  )
  assert.deepEqual(
    enrichment?.pipelines.map(({ name, enrich }) => [name, enrich.map(({ upstream }) => upstream)]),
    [['weather', ['weather']]],
  )
  assert.deepEqual(
    mappings?.pipelines.map(({ name, transform }) => [name, transform?.path.endsWith('places.ts')]),
    [['places', true]],
  )
})
