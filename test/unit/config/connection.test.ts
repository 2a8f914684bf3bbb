import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceConnection, targetConnection } from '../../../src/config/connection.ts'

test('user and password of a URL are decoded; ports have their default', () => {
  assert.deepEqual(sourceConnection({ url: 'mysql://a%40b:p%2Fw@db.example/' }), {
    host: 'db.example',
    port: 3306,
    user: 'a@b',
    password: 'p/w',
  })
  assert.deepEqual(sourceConnection({ url: 'mysql://[::1]:3307', user: 'x', password: 'y' }), {
    host: '::1',
    port: 3307,
    user: 'x',
    password: 'y',
  })
})

test('a stray percent sign is refused with what to write', () => {
  assert.throws(() => sourceConnection({ url: 'mysql://a:50%x@db/' }), {
    kind: 'configuration',
    remedy: /%25/,
  })
})

test('nodes have no user in them; the user of the URL serves where no other way is named', () => {
  assert.deepEqual(
    targetConnection({ url: ['https://elastic:pw@a:9200/', 'https://b:9200'], auth: { aws } }),
    {
      nodes: ['https://a:9200', 'https://b:9200'],
      auth: { kind: 'basic', username: 'elastic', password: 'pw' },
    },
  )
  assert.deepEqual(targetConnection({ url: ['http://a:9200'], auth: { apiKey: 'k', aws } }).auth, {
    kind: 'apiKey',
    apiKey: 'k',
  })
  assert.deepEqual(targetConnection({ url: ['http://a:9200'], auth: { aws } }).auth, { kind: 'none' })
})

/** Not used. */
const aws = { service: 'es' } as const

test('an access key of AWS counts where a region is named, and must be whole', () => {
  const key = { accessKeyId: 'AK', secretAccessKey: 'secret' }
  const found = targetConnection({
    url: ['https://a'],
    auth: { aws: { ...aws, region: 'eu-west-1', ...key } },
  })
  assert.deepEqual(found.auth, {
    kind: 'aws',
    region: 'eu-west-1',
    service: 'es',
    ...key,
    sessionToken: undefined,
  })
  const half = { url: ['https://a'], auth: { aws: { ...aws, region: 'eu-west-1', accessKeyId: 'AK' } } }
  assert.throws(() => targetConnection(half), { kind: 'configuration', remedy: /secretAccessKey/ })
})
