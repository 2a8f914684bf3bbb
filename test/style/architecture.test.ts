/** Who may know whom: the rooms of src/, what each may import, and the words that must not be said in it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { root, trackedFiles } from './tracked-files.ts'

interface Room {
  /** Folders and files of src/ that it may import; itself always. */
  readonly project: readonly string[]
  readonly packages: readonly string[]
  /** Words that would show that it knows what it should not. */
  readonly unsaid?: RegExp
}

const interfaces = [
  'change/',
  'source/source.ts',
  'log/log.ts',
  'sink/sink.ts',
  'store/store.ts',
  'cache/cache.ts',
  'upstream/upstream.ts',
  'document/enricher.ts',
  'document/definition.ts',
]
/** For those who put parts together: all that parts are made of. */
const outside = [
  'cache/',
  'change/',
  'cli/parts.ts',
  'config/',
  'control/',
  'document/',
  'log/',
  'observe/',
  'pipeline/',
  'sink/',
  'source/',
  'store/',
  'upstream/',
  'system-clock.ts',
  'units.ts',
  'version.ts',
]
const vendor = /mysql|kafka|elastic|opensearch|redis|fastify|pino/i

/** The longest prefix that fits decides. */
const rooms: Readonly<Record<string, Room>> = {
  'change/': { project: [], packages: ['node:buffer'], unsaid: /mysql|kafka|elastic|http/i },
  'source/source.ts': { project: interfaces, packages: [], unsaid: /kafka|elastic|opensearch|redis/i },
  'log/log.ts': { project: interfaces, packages: [], unsaid: vendor },
  'sink/sink.ts': { project: interfaces, packages: [], unsaid: vendor },
  'store/store.ts': { project: interfaces, packages: [], unsaid: vendor },
  'document/enricher.ts': { project: interfaces, packages: [], unsaid: vendor },
  'source/mysql/': mysqlRoom(['source/mysql/']),
  ...mysqlLayers(),
  'source/debezium/': {
    project: ['source/source.ts', 'change/'],
    packages: ['node:timers/promises'],
    unsaid: /elastic|\bbulk|binlog|gtid/i,
  },
  'log/lock.ts': { project: [], packages: ['node:sqlite'], unsaid: vendor },
  'log/embedded/': {
    project: ['log/log.ts', 'log/lock.ts', 'change/'],
    packages: ['node:'],
    unsaid: /binlog|gtid|elastic/i,
  },
  'log/kafka/': {
    project: ['log/log.ts', 'log/lock.ts', 'change/'],
    packages: ['@platformatic/kafka', 'node:'],
    unsaid: /binlog|elastic/i,
  },
  'sink/search/': {
    project: ['sink/sink.ts', 'change/'],
    packages: ['@elastic/elasticsearch', '@opensearch-project/opensearch', 'node:'],
    unsaid: /binlog|gtid|\btopic/i,
  },
  'sink/service/': {
    project: ['sink/sink.ts', 'store/store.ts', 'change/'],
    packages: ['node:'],
    unsaid: /binlog|gtid|\btopic|elastic|opensearch/i,
  },
  'store/sqlite/': {
    project: ['store/store.ts', 'change/'],
    packages: ['node:'],
    unsaid: /binlog|gtid|elastic|kafka/i,
  },
  'store/mysql/': {
    project: ['store/store.ts', 'change/'],
    packages: ['mysql2', 'node:crypto'],
    unsaid: /binlog|gtid|elastic|kafka/i,
  },
  'cache/cache.ts': { project: interfaces, packages: [], unsaid: vendor },
  'cache/memory/': { project: interfaces, packages: [], unsaid: vendor },
  'cache/redis/': {
    project: ['cache/cache.ts', 'upstream/upstream.ts', 'change/'],
    packages: ['ioredis', 'node:crypto'],
    unsaid: /binlog|gtid|elastic|kafka/i,
  },
  'upstream/upstream.ts': { project: interfaces, packages: [], unsaid: vendor },
  'upstream/': {
    project: ['upstream/upstream.ts', 'change/'],
    packages: ['node:'],
    unsaid: /binlog|gtid|\btopic|\bbulk|elastic/i,
  },
  'document/': {
    project: [...interfaces, 'document/'],
    packages: ['node:crypto'],
    unsaid: /binlog|\btopic|\bbulk/i,
  },
  'pipeline/': pipelineRoom(['pipeline/']),
  ...pipelineLayers(),
  'observe/': {
    project: ['pipeline/facts.ts', 'change/'],
    packages: ['pino', 'pino-pretty', 'prom-client', 'node:'],
  },
  'control/': { project: ['change/'], packages: ['fastify'], unsaid: /mysql|kafka|elastic|redis|pino/i },
  'config/': {
    project: ['change/', 'document/definition.ts'],
    packages: ['convict', 'croner', 'typebox', 'yaml', 'node:'],
  },
  'cli/': { project: [...interfaces, 'config/', 'control/operations.ts'], packages: ['node:'] },
  'daemon.ts': { project: [...interfaces, 'pipeline/'], packages: [], unsaid: vendor },
  'status.ts': {
    project: [...interfaces, 'pipeline/', 'control/operations.ts'],
    packages: [],
    unsaid: vendor,
  },
  'main.ts': { project: ['cli/', 'compose.ts', 'version.ts'], packages: ['node:'] },
  'opening/': { project: outside, packages: ['node:'] },
  'parts/': { project: [...outside, 'opening/', 'status.ts'], packages: ['node:'] },
  'offline/': { project: [...outside, 'opening/', 'parts/'], packages: ['node:'] },
  'serving/': {
    project: [...outside, 'opening/', 'parts/', 'daemon.ts', 'status.ts'],
    packages: ['node:'],
  },
  '': { project: [''], packages: ['node:'] },
}

function mysqlLayers(): Readonly<Record<string, Room>> {
  const base = 'source/mysql/'
  const names = [
    'values',
    'gtid',
    'server',
    'binlog',
    'rows',
    'schema',
    'transactions',
    'reading',
    'preflight',
  ]
  const below = ['values/', 'gtid/', 'server/'].map((name) => `${base}${name}`)
  return {
    ...layered(base, names, mysqlRoom),
    'source/mysql/server/connection.ts': { ...mysqlRoom(below), packages: ['mysql2', 'node:'] },
  }
}

function mysqlRoom(own: readonly string[]): Room {
  return {
    project: ['source/source.ts', 'upstream/upstream.ts', 'change/', ...own],
    packages: ['node:'],
    unsaid: /kafka|elastic|\bbulk/i,
  }
}

/** Its folders also know what all of them are made with. */
function pipelineLayers(): Readonly<Record<string, Room>> {
  const names = [
    'capture',
    'building',
    'delivery',
    'load',
    'index',
    'deriving',
    'replay',
    'log-move',
    'verify',
  ]
  const means = ['clock', 'facts', 'pace', 'retry-policy', 'together'].map((name) => `pipeline/${name}.ts`)
  return layered('pipeline/', names, (own) => pipelineRoom([...means, ...own]))
}

function pipelineRoom(own: readonly string[]): Room {
  return {
    project: [...interfaces, ...own],
    packages: ['node:assert/strict'],
    unsaid: /gtid|\btopic|\bbulk|elastic|redis|Date\.now|setTimeout|Math\.random|\bprocess\./i,
  }
}

/** Each folder may know those before it. */
function layered(
  base: string,
  names: readonly string[],
  room: (own: readonly string[]) => Room,
): Readonly<Record<string, Room>> {
  const folders = names.map((name) => `${base}${name}/`)
  return Object.fromEntries(folders.map((folder, at) => [folder, room(folders.slice(0, at))]))
}

/** A package is imported by one file, so that it can be replaced by writing one file. */
const homes: Readonly<Record<string, string>> = {
  '@platformatic/kafka': 'log/kafka/library.ts',
  '@elastic/elasticsearch': 'sink/search/elasticsearch.ts',
  '@opensearch-project/opensearch': 'sink/search/opensearch.ts',
  convict: 'config/settings.ts',
  croner: 'config/schedule.ts',
  fastify: 'control/server.ts',
  ioredis: 'cache/redis/redis-cache.ts',
  pino: 'observe/logger.ts',
  'pino-pretty': 'observe/logger.ts',
  'prom-client': 'observe/metrics.ts',
  typebox: 'config/schema-words.ts',
  yaml: 'config/yaml.ts',
}

const sources = trackedFiles()
  .filter((file) => file.startsWith('src/') && file.endsWith('.ts'))
  .map((file) => ({ file: file.slice('src/'.length), text: readFileSync(join(root, file), 'utf8') }))

test('there are sources to look at', () => {
  assert.ok(sources.length > 40, `${sources.length} files`)
})

test('every file imports only what its room may know', () => {
  const breaches = sources.flatMap(({ file, text }) => {
    const [room, { project, packages }] = roomOf(file)
    return importsOf(text)
      .filter((name) => !isAllowed(file, name, { room, project, packages }))
      .map((name) => `src/${file} imports ${name}`)
  })
  assert.deepEqual(breaches, [])
})

test('every package has one home', () => {
  const breaches = sources.flatMap(({ file, text }) =>
    importsOf(text)
      .filter((name) => packageOf(name) in homes && homes[packageOf(name)] !== file)
      .map((name) => `src/${file} imports ${name}`),
  )
  assert.deepEqual(breaches, [])
})

test('no room says a word that it should not know', () => {
  const breaches = sources.flatMap(({ file, text }) => {
    const [, { unsaid }] = roomOf(file)
    if (unsaid === undefined) return []
    const lines = text.split('\n')
    return lines.flatMap((line, index) =>
      unsaid.test(line) ? [`src/${file}:${index + 1}: ${line.trim()}`] : [],
    )
  })
  assert.deepEqual(breaches, [])
})

function roomOf(file: string): readonly [string, Room] {
  const names = Object.keys(rooms).filter((name) => file.startsWith(name))
  const name = names.toSorted((a, b) => b.length - a.length)[0] ?? ''
  return [name, rooms[name] ?? { project: [], packages: [] }]
}

function importsOf(text: string): readonly string[] {
  const found = text.matchAll(/^(?:import|export)\b[^'";]*?\bfrom\s+'([^']+)'|\bimport\(\s*'([^']+)'/gm)
  return [...found].map((match) => match[1] ?? match[2] ?? '')
}

function isAllowed(
  file: string,
  name: string,
  { room, project, packages }: Room & { readonly room: string },
): boolean {
  if (!name.startsWith('.'))
    return packages.some((each) => (each === 'node:' ? name.startsWith(each) : packageOf(name) === each))
  const path = relative('.', join(dirname(file), name))
  // What leaves src/ is data, such as package.json, and belongs to the composition.
  if (path.startsWith('..')) return room === ''
  return [...project, room].some((each) => path.startsWith(each))
}

function packageOf(name: string): string {
  if (name.startsWith('node:')) return name
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')
}
