import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Failure } from '../../../src/change/failure.ts'
import { loadConfiguration, type Configuration, type LoadRequest } from '../../../src/config/load.ts'
import { groupOf, isMeant } from '../../../src/config/pipeline.ts'

const settings = `
sources:
  main:
    url: mysql://app:sesame-open@db:3307/
targets:
  primary:
    url: http://search:9200
`
const pipeline = 'table: shop.orders\n'

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

function load(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  more: Partial<LoadRequest> = {},
): Configuration {
  const workingDirectory = folderWith(t, { 'config/millrace.yaml': settings, ...files })
  return loadConfiguration({ environment: {}, workingDirectory, ...more })
}

function problemsOf(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  more: Partial<LoadRequest> = {},
): string {
  let message = ''
  assert.throws(
    () => load(t, files, more),
    (error) => {
      assert.ok(error instanceof Failure, String(error))
      assert.equal(error.kind, 'configuration')
      message = error.message
      return true
    },
  )
  return message
}

test('what no file says has its default, and nothing can be changed', (t) => {
  const { settings: loaded, pipelines } = load(t, { 'config/pipelines/orders.yaml': pipeline })
  assert.equal(loaded.log.segmentMb, 64)
  assert.equal(loaded.control.port, 8377)
  assert.deepEqual(loaded.targets['primary']?.url, ['http://search:9200'])
  const [orders] = pipelines
  assert.equal(orders?.name, 'orders')
  assert.equal(orders?.source, 'main')
  assert.equal(orders?.target.index, 'orders')
  assert.deepEqual(orders?.policy.start, { kind: 'load' })
  assert.throws(() => Object.assign(loaded.log, { segmentMb: 1 }), TypeError)
  assert.throws(() => Object.assign(orders ?? {}, { name: 'x' }), TypeError)
})

test('arguments win over the environment, the environment over the file', (t) => {
  const file = { 'config/millrace.yaml': `${settings}\nlog: { lanes: 2, segmentMb: 8, retentionGb: 3 }` }
  const environment = {
    MILLRACE_LOG_LANES: '3',
    MILLRACE_LOG_SEGMENT_MB: '9',
    MILLRACE_SOURCES_MAIN_TLS_MODE: 'required',
  }
  const { settings: loaded } = load(t, file, {
    environment,
    overrides: ['log.lanes=5', 'targets.primary.compress=true'],
  })
  assert.deepEqual([loaded.log.lanes, loaded.log.segmentMb, loaded.log.retentionGb], [5, 9, 3])
  assert.equal(loaded.sources['main']?.tls.mode, 'required')
  assert.equal(loaded.targets['primary']?.compress, true)
})

test('a source can come from the environment alone', (t) => {
  const file = { 'config/millrace.yaml': 'targets: { primary: { url: "http://a:9200,http://b:9200" } }' }
  const { settings: loaded } = load(t, file, { environment: { MILLRACE_SOURCES_MAIN_URL: 'mysql://db/' } })
  assert.equal(loaded.sources['main']?.url, 'mysql://db/')
  assert.deepEqual(loaded.targets['primary']?.url, ['http://a:9200', 'http://b:9200'])
})

test('every problem of every file is told at once, with line, path and suggestion', (t) => {
  const message = problemsOf(t, {
    'config/millrace.yaml': `${settings}\nlog:\n  segmentsMb: 64\n  lanes: 65\nlogger: { level: loud }\n`,
  })
  assert.match(message, /^the configuration has 3 problems:/)
  assert.match(
    message,
    /config\/millrace\.yaml:10: log\.segmentsMb: is not known here; did you mean "segmentMb"\?/,
  )
  assert.match(
    message,
    /config\/millrace\.yaml:11: log\.lanes: found 65; expected a whole number from 1 to 64/,
  )
  assert.match(message, /logger\.level: found "loud"; expected one of debug, info, warn, error/)
})

test('problems of pipeline files name the file, the line and what was meant', (t) => {
  const message = problemsOf(t, {
    'config/pipelines/a.yaml': 'table: shop.orders\ntarget:\n  idnex: orders\n',
    'config/pipelines/b.yaml': 'table: orders\n',
    'config/pipelines/c.yaml': 'table: shop.orders\nwhere:\n  status: { equals: 1 }\n  price: [1]\n',
    'config/pipelines/d.yaml': 'tabel: shop.orders\n',
    'config/pipelines/e.yaml': 'table: shop.items\nforms:\n  price: numbr\n',
  })
  assert.match(message, /a\.yaml:3: target\.idnex: is not known here; did you mean "index"\?/)
  assert.match(message, /b\.yaml:1: table: found "orders"; expected text such as shop\.orders/)
  assert.match(message, /c\.yaml:3: where\.status\.equals: is not known here/)
  assert.match(message, /c\.yaml:4: where\.price: found a list/)
  assert.match(message, /d\.yaml:1: tabel: is not known here; did you mean "table"\?/)
  assert.match(message, /d\.yaml:1: table: is missing/)
  assert.match(message, /e\.yaml:3: forms\.price: found "numbr"; expected one of .*number, scaled/)
})

test('broken YAML is told with line and column', (t) => {
  const message = problemsOf(t, { 'config/pipelines/a.yaml': 'table: shop.orders\nfields: {a: b\n' })
  assert.match(message, /a\.yaml:3:1: not valid YAML/)
})

test('a key that is there twice is refused', (t) => {
  assert.match(
    problemsOf(t, { 'config/pipelines/a.yaml': 'table: a.b\ntable: a.c\n' }),
    /a\.yaml:2:1: .*unique/,
  )
})

test('two pipelines of one name, or on one index, are refused', (t) => {
  const message = problemsOf(t, {
    'config/pipelines/a.yaml': 'table: shop.orders\ntarget: { index: one }\n',
    'config/pipelines/b.yaml': 'table: shop.items\ntarget: { index: one }\n',
    'config/pipelines/c.yaml': 'name: a\ntable: shop.items\n',
  })
  assert.match(
    message,
    /b\.yaml:2: target\.index: "one" is filled by the pipeline in config\/pipelines\/a\.yaml already/,
  )
  assert.match(
    message,
    /c\.yaml:1: name: "a" is the name of the pipeline in config\/pipelines\/a\.yaml already/,
  )
})

test('an index name that the target would refuse is refused before', (t) => {
  const message = problemsOf(t, {
    'config/pipelines/a.yaml': 'table: shop.orders\ntarget: { index: Orders }\n',
  })
  assert.match(message, /target\.index: the name of the index, "Orders", has capital letters/)
})

test('a source that the settings lack is named with the nearest', (t) => {
  const message = problemsOf(t, { 'config/pipelines/a.yaml': 'table: shop.orders\nsource: mian\n' })
  assert.match(message, /a\.yaml:2: source: there is no source "mian" in the settings; did you mean "main"\?/)
})

test('values of the environment and of arguments are held against the same schema', (t) => {
  const message = problemsOf(
    t,
    {},
    { environment: { MILLRACE_LOG_LANES: 'many' }, overrides: ['log.lane=1', 'x'] },
  )
  assert.match(
    message,
    /the environment variable MILLRACE_LOG_LANES: log\.lanes: found "many"; expected a whole number/,
  )
  assert.match(message, /--set: log\.lane: is not a setting; did you mean "log\.lanes"\?/)
  assert.match(message, /--set: "x" has no "="/)
})

test('conditions keep their comparisons, and integers beyond 2^53 their digits', (t) => {
  const file =
    'table: shop.orders\nwhere:\n  status: paid\n  id: { gte: 9007199254740993, lt: 5 }\n  gone: { isNull: true }\n'
  const [orders] = load(t, { 'config/pipelines/orders.yaml': file }).pipelines
  assert.deepEqual(orders?.definition.where, [
    { column: 'status', comparison: 'eq', value: 'paid' },
    { column: 'id', comparison: 'gte', value: 9007199254740993n },
    { column: 'id', comparison: 'lt', value: 5 },
    { column: 'gone', comparison: 'isNull', value: true },
  ])
})

test('a pipeline can begin after a set of transactions', (t) => {
  const file = 'table: shop.orders\npolicy: { start: { gtid: "uuid:1-5" } }\n'
  const [orders] = load(t, { 'config/pipelines/orders.yaml': file }).pipelines
  assert.deepEqual(orders?.policy.start, { kind: 'position', text: 'uuid:1-5' })
})

test('what a change of columns does is one of three words', (t) => {
  const file = 'table: shop.orders\npolicy: { ddl: freeze }\n'
  const [orders] = load(t, { 'config/pipelines/orders.yaml': file }).pipelines
  assert.equal(orders?.policy.ddl, 'freeze')
  const [plain] = load(t, { 'config/pipelines/orders.yaml': 'table: shop.orders\n' }).pipelines
  assert.equal(plain?.policy.ddl, 'auto')
  assert.throws(
    () => load(t, { 'config/pipelines/orders.yaml': file.replace('freeze', 'ask') }),
    /policy\.ddl/,
  )
})

test('references are resolved in every text, also where a number is asked for', (t) => {
  const file = `${settings.replace('mysql://app:sesame-open@db:3307/', '${DB}')}\nlog: { lanes: "\${LANES:-7}" }\nlogger: { level: "$$x" }`
  assert.match(
    problemsOf(t, { 'config/millrace.yaml': file }, { environment: { DB: 'mysql://a/' } }),
    /found "\$x"/,
  )
  const good = file.replace('$$x', 'info')
  const { settings: loaded } = load(
    t,
    { 'config/millrace.yaml': good },
    { environment: { DB: 'mysql://a/' } },
  )
  assert.equal(loaded.sources['main']?.url, 'mysql://a/')
  assert.equal(loaded.log.lanes, 7)
})

test('a reference that cannot be resolved is a problem with its line, except offline', (t) => {
  const file = { 'config/millrace.yaml': settings.replace('http://search:9200', '${NOT_SET}') }
  assert.match(
    problemsOf(t, file),
    /config\/millrace\.yaml:7: targets\.primary\.url: the environment variable NOT_SET is not set/,
  )
  assert.equal(
    load(t, file, { offline: true }).settings.sources['main']?.url,
    'mysql://app:sesame-open@db:3307/',
  )
})

test('files give secrets without their last line break; a missing one is named', (t) => {
  const file = settings.replace('    url: http', '    auth: { apiKey: "${file:../key}" }\n    url: http')
  const { settings: loaded, redact } = load(t, { 'config/millrace.yaml': file, key: 'very-secret\n' })
  assert.equal(loaded.targets['primary']?.auth.apiKey, 'very-secret')
  assert.equal(redact('sent very-secret'), 'sent ••••')
  assert.match(
    problemsOf(t, { 'config/millrace.yaml': file }),
    /auth\.apiKey: the file \.\.\/key cannot be read \(ENOENT\)/,
  )
})

test('secrets are unreadable wherever they appear', (t) => {
  const { redact } = load(t, {})
  assert.equal(
    redact('Access denied for mysql://app:sesame-open@db:3307/'),
    'Access denied for mysql://••••@db:3307/',
  )
  assert.equal(redact('password sesame-open was wrong'), 'password •••• was wrong')
  assert.equal(redact('to https://someone:else@host/'), 'to https://••••@host/')
  assert.equal(redact('http://search:9200 answered'), 'http://search:9200 answered')
})

test('a problem with a secret does not show it', (t) => {
  const file = settings.replace('mysql://app:sesame-open@db:3307/', 'app:sesame-open@db')
  const message = problemsOf(t, { 'config/millrace.yaml': file })
  assert.match(message, /sources\.main\.url: found a value that does not fit/)
  assert.doesNotMatch(message, /sesame/)
})

test('relative paths: state from where we are, pipelines and certificates from the file', (t) => {
  const file = settings.replace('    url: http', '    tls: { ca: ca.pem }\n    url: http')
  const folder = folderWith(t, { 'config/millrace.yaml': file, 'config/pipelines/a.yaml': pipeline })
  const { settings: loaded } = loadConfiguration({ environment: {}, workingDirectory: folder })
  assert.equal(loaded.state, join(folder, 'state'))
  assert.equal(loaded.pipelines, join(folder, 'config/pipelines'))
  assert.equal(loaded.targets['primary']?.tls.ca, join(folder, 'config/ca.pem'))
})

test('settings that contradict each other are refused', (t) => {
  const auth = settings.replace('    url: http', '    auth: { apiKey: abcd, bearer: efgh }\n    url: http')
  assert.match(
    problemsOf(t, { 'config/millrace.yaml': auth }),
    /targets\.primary\.auth: names several ways to log in/,
  )
  const ceiling = `${settings}\nlog: { ceilingGb: 5 }`
  assert.match(
    problemsOf(t, { 'config/millrace.yaml': ceiling }),
    /log\.ceilingGb: found 5; expected at least/,
  )
})

test('a group whose settings are all commented out is as good as not there', (t) => {
  assert.equal(load(t, { 'config/millrace.yaml': `${settings}\nlog:\n  # lanes: 5\n` }).settings.log.lanes, 3)
})

test('no settings file: the message says how to make one', (t) => {
  const workingDirectory = folderWith(t, {})
  assert.throws(() => loadConfiguration({ environment: {}, workingDirectory }), {
    message: /config\/millrace\.yaml cannot be read/,
    remedy: /millrace init/,
  })
})

const twoTargets = `
sources: { main: { url: "mysql://db/" } }
targets:
  primary: { url: "http://search:9200" }
  backup: { url: "http://spare:9200" }
`

test('a pipeline with several targets has a way to each, named apart', (t) => {
  const { pipelines } = load(t, {
    'config/millrace.yaml': twoTargets,
    'config/pipelines/orders.yaml':
      'table: shop.orders\ntargets:\n  - name: primary\n  - { name: backup, index: spare, settings: { number_of_replicas: 0 } }\n',
    'config/pipelines/items.yaml': 'table: shop.items\ntarget: { name: backup }\n',
  })
  const ways = pipelines.map((each) => [groupOf(each), each.label, each.target.index, each.target.isPrimary])
  assert.deepEqual(ways, [
    ['items@backup', 'items', 'items', true],
    ['orders@primary', 'orders@primary', 'orders', true],
    ['orders@backup', 'orders@backup', 'spare', false],
  ])
  const meant = (word: string): readonly string[] =>
    pipelines.filter((each) => isMeant(each, [word])).map(groupOf)
  assert.deepEqual(meant('orders'), ['orders@primary', 'orders@backup'])
  assert.deepEqual(meant('orders@backup'), ['orders@backup'])
  assert.deepEqual(meant('items@backup'), ['items@backup'])
})

test('what is wrong with one of several targets is told with its line', (t) => {
  const message = problemsOf(t, {
    'config/millrace.yaml': twoTargets,
    'config/pipelines/a.yaml':
      'table: shop.a\ntargets:\n  - name: primary\n  - name: bakcup\n  - name: primary\n    index: other\n',
    'config/pipelines/b.yaml': 'table: shop.b\ntarget: { name: primary }\ntargets: [{ name: backup }]\n',
    'config/pipelines/c.yaml': 'table: shop.c\ntargets:\n  - { name: backup, index: b }\n  - index: C\n',
  })
  assert.match(message, /a\.yaml:4: targets\.1\.name: there is no target "bakcup".*did you mean "backup"\?/)
  assert.match(message, /a\.yaml:5: targets\.2\.name: "primary" is named twice/)
  assert.match(message, /b\.yaml:2: target: is given beside targets/)
  assert.match(message, /c\.yaml:3: targets\.0\.index: "b" is filled by the pipeline in .*b\.yaml already/)
  assert.match(message, /c\.yaml:4: targets\.1\.name: the settings have several targets/)
  assert.match(message, /c\.yaml:4: targets\.1\.index: .*has capital letters/)
})

test('children say what follows where the file does not, and are checked to their depth', (t) => {
  const file = `
table: shop.orders
children:
  customer: { table: shop.customers, kind: one, on: { id: customer_id } }
  lines:
    table: shop.lines
    on: { order_id: id }
    where: { state: open }
    order: { place: desc }
    limit: 5
    children:
      product: { table: shop.products, on: { id: product_id }, kind: one, mapping: flattened }
`
  const { definition } = load(t, { 'config/pipelines/orders.yaml': file }).pipelines[0] ?? assert.fail()
  const { customer, lines } = definition.children ?? {}
  assert.equal(customer?.mapping, 'object')
  assert.equal(lines?.kind, 'many')
  assert.equal(lines?.mapping, 'nested')
  assert.deepEqual(lines?.where, [{ column: 'state', comparison: 'eq', value: 'open' }])
  assert.deepEqual(lines?.order, [{ column: 'place', descending: true }])
  assert.equal(lines?.children?.['product']?.mapping, 'flattened')
  const misspelt = problemsOf(t, {
    'config/pipelines/orders.yaml': file.replace('kind: one, mapping', 'kinds: one, mapping'),
  })
  assert.match(misspelt, /children\.lines\.children\.product\.kinds/)
  assert.match(misspelt, /did you mean "?kind/)
})

test('a child cannot have the name of a field, nor follow columns that nobody is to see unasked', (t) => {
  const found = problemsOf(t, {
    'config/pipelines/orders.yaml': `
table: shop.orders
fields: { lines: lines }
children:
  lines: { table: shop.lines, on: { order_id: id } }
policy: { ddl: freeze }
`,
  })
  assert.match(found, /"lines" is the name of a field already/)
  assert.match(found, /children\.lines.*fields/)
})
