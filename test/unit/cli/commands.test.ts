import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Table } from '../../../src/change/change.ts'
import { packRow } from '../../../src/change/row.ts'
import { Failure } from '../../../src/change/failure.ts'
import type {
  Difference,
  LogSwitchPlan,
  LogSwitchRequest,
  OpenSource,
  RunOptions,
  VerifyProgress,
} from '../../../src/cli/parts.ts'
import { generatedFiles } from '../../../src/config/example.ts'
import type { LogAdmin } from '../../../src/log/log.ts'
import type { Finding } from '../../../src/source/source.ts'
import { commandLine, twoServers, type CommandLine } from '../../support/command-line.ts'

const table: Table = {
  name: 'shop.orders',
  columns: [
    { name: 'id', kind: 'integer', type: 'bigint unsigned', nullable: false },
    { name: 'title', kind: 'string', type: 'varchar(200)', nullable: true },
  ],
  key: [0],
}

function unasked(): never {
  assert.fail('not asked for here')
}

/** A source of which only the table and the findings matter. */
function sourceWith(findings: readonly Finding[]): OpenSource & { closed: boolean } {
  return {
    closed: false,
    describe: () => Promise.resolve({ table, excluded: [], rowsEstimate: 12_345 }),
    examine: () => Promise.resolve(findings),
    close() {
      this.closed = true
      return Promise.resolve()
    },
    earliest: unasked,
    parse: unasked,
    show: unasked,
    indexes: unasked,
    describeQuestion: unasked,
    explainQuestion: unasked,
    headroom: unasked,
    head: unasked,
    chunk: unasked,
  }
}

function withPipeline(line: CommandLine, text = 'table: shop.orders\n'): CommandLine {
  line.write('config/millrace.yaml', twoServers)
  line.write('config/pipelines/orders.yaml', text)
  return line
}

test('check says what the files come to, for people and for programs', async (t) => {
  const { run } = withPipeline(commandLine(t), 'table: shop.orders\nwhere: { id: 9007199254740993 }\n')
  const people = await run('check')
  assert.equal(people.code, 0)
  assert.deepEqual(people.out[1]?.split(/ {2,}/).slice(0, 4), ['orders', 'main', 'shop.orders', 'orders'])
  assert.equal(people.out.at(-1), 'ok: 1 source, 1 target, 1 pipeline')
  const programs = await run('check', '--json')
  const { pipelines } = JSON.parse(programs.out.join('')) as { pipelines: { name: string }[] }
  assert.equal(pipelines[0]?.name, 'orders')
})

test('check names what is wrong and ends with 2', async (t) => {
  const { run } = withPipeline(commandLine(t), 'tabel: shop.orders\n')
  const { code, err } = await run('check')
  assert.equal(code, 2)
  assert.match(err.join('\n'), /orders\.yaml:1: tabel: is not known here; did you mean "table"\?/)
})

test('run hands on which pipelines to reload, keep and adopt, and refuses others', async (t) => {
  const asked: RunOptions[] = []
  const { run } = withPipeline(commandLine(t, { runDaemon: async (options) => void asked.push(options) }))
  assert.equal((await run('run', '--reload', 'orders', '--adopt', 'orders')).code, 0)
  assert.deepEqual(asked, [{ reload: ['orders'], keep: [], adopt: ['orders'] }])
  const refused = await run('run', '--keep', 'ordres')
  assert.equal(refused.code, 2)
  assert.deepEqual(refused.err, [
    'millrace: there is no pipeline "ordres"',
    '  remedy: did you mean "orders"?',
  ])
})

test('run without a pipeline file says how to make one', async (t) => {
  const line = commandLine(t)
  line.write('config/millrace.yaml', twoServers)
  const { code, err } = await line.run('run')
  assert.equal(code, 2)
  assert.match(err.join('\n'), /there is no pipeline file[^]*remedy: millrace init/)
})

test('init writes a pipeline file that check accepts, and settings without the password', async (t) => {
  const source = sourceWith([])
  const mappings = { id: { type: 'long' }, title: { type: 'text', fields: { keyword: { type: 'keyword' } } } }
  const line = commandLine(t, { openSource: () => Promise.resolve(source), proposeMappings: () => mappings })
  const first = await line.run('init', '--source', 'mysql://app:open-sesame@db/', '--table', 'shop.orders')
  assert.equal(first.code, 0, first.err.join('\n'))
  assert.ok(source.closed)
  const draft = line.read('config/pipelines/orders.yaml')
  assert.match(draft, /about 12,345 rows\. The id of a document is made of: id\./)
  assert.match(draft, /^ {2}id: id +# bigint unsigned, key, not null → long$/m)
  assert.match(draft, /^ {2}title: title +# varchar\(200\) → text with keyword$/m)
  assert.equal(line.read('config/millrace.yaml'), generatedFiles()['millrace.yaml'])
  assert.doesNotMatch(first.out.join('\n') + draft, /sesame/)
  line.write('config/millrace.yaml', twoServers)
  assert.equal((await line.run('check')).code, 0)
})

test('init leaves a file that exists alone', async (t) => {
  const line = withPipeline(commandLine(t, { openSource: () => Promise.resolve(sourceWith([])) }))
  const again = await line.run('init', '--source', 'main', '--table', 'shop.orders')
  assert.equal(again.code, 2)
  assert.match(again.err.join('\n'), /config\/pipelines\/orders\.yaml exists already[^]*--out/)
  assert.equal(line.read('config/pipelines/orders.yaml'), 'table: shop.orders\n')
})

test('doctor prints a line for each fact and the statement for the service, and ends with 1 when one is fatal', async (t) => {
  const source = sourceWith([
    { level: 'ok', fact: 'binlog_format', found: 'ROW' },
    {
      level: 'fatal',
      fact: 'gtid_mode',
      found: 'OFF',
      remedies: { mysql: 'SET GLOBAL gtid_mode=ON', rds: 'gtid-mode: ON' },
    },
  ])
  const { run } = withPipeline(
    commandLine(t, {
      openSource: () => Promise.resolve(source),
      examineTarget: () => Promise.resolve([{ level: 'warning', fact: 'index', found: 'is not there yet' }]),
      examineState: () => Promise.resolve([{ level: 'ok', fact: 'folder', found: 'writable' }]),
    }),
    'table: shop.orders\nfields: { name: titel }\n',
  )
  const plain = await run('doctor')
  assert.equal(plain.code, 1)
  const lines = plain.out.map((line) => line.replaceAll(/ +/g, ' '))
  assert.ok(lines.includes(' ok binlog_format ROW'), lines.join('\n'))
  assert.ok(lines.includes(' FAIL gtid_mode OFF'))
  assert.ok(lines.includes(' → SET GLOBAL gtid_mode=ON'))
  assert.ok(lines.includes(' warn index is not there yet'))
  assert.ok(lines.includes(' FAIL columns of orders fields: shop.orders has no column "titel"'))
  assert.ok(lines.includes(' → did you mean "title"?'))
  assert.ok((await run('doctor', '--managed', 'rds')).out.join('\n').includes('→ gtid-mode: ON'))
  assert.equal((await run('doctor', '--managed', 'azure')).code, 2)
})

test('doctor goes on where a source cannot be reached', async (t) => {
  const { run } = withPipeline(
    commandLine(t, {
      openSource: () =>
        Promise.reject(new Failure('transient', 'nobody answers at db:3306', { remedy: 'start it' })),
      examineTarget: () => Promise.resolve([{ level: 'ok', fact: 'version', found: '9.1' }]),
      examineState: () => Promise.resolve([]),
    }),
  )
  const { code, out } = await run('doctor')
  assert.equal(code, 1)
  assert.match(
    out.join('\n'),
    /FAIL {2}connection {2}nobody answers at db:3306\n +→ start it[^]*ok {4}version {2}9\.1/,
  )
})

async function* differing(
  progress: (done: VerifyProgress) => void,
): AsyncGenerator<Difference, VerifyProgress> {
  progress({ rows: 2, documents: 0 })
  yield { kind: 'missing', id: '7' }
  yield { kind: 'different', id: '8', fields: ['title', 'price'] }
  return { rows: 2, documents: 1 }
}

test('verify names what differs and ends with 1; the limit stops it', async (t) => {
  const { run } = withPipeline(commandLine(t, { verify: (_, progress) => differing(progress) }))
  assert.deepEqual(await run('verify', 'orders'), {
    code: 1,
    out: [
      'missing    7',
      'different  8  title, price',
      '1 missing, 0 orphans, 1 different, 0 unmade, after 2 rows and 1 documents',
    ],
    err: [],
  })
  const limited = await run('verify', 'orders', '--limit', '1', '--json')
  assert.deepEqual(
    limited.out.map((line) => JSON.parse(line) as unknown),
    [
      { kind: 'missing', id: '7' },
      {
        pipeline: 'orders',
        target: 'primary',
        equal: false,
        complete: false,
        rows: 2,
        documents: 0,
        missing: 1,
        orphan: 0,
        different: 0,
        unmade: 0,
      },
    ],
  )
})

async function* nothingDiffers(): AsyncGenerator<Difference, VerifyProgress> {
  yield* []
  return { rows: 1000, documents: 1000 }
}

test('verify of equals says how many and ends with 0', async (t) => {
  const { run } = withPipeline(commandLine(t, { verify: nothingDiffers }))
  assert.deepEqual(await run('verify', 'orders'), { code: 0, out: ['equal: 1000 documents'], err: [] })
})

test('log groups prints where each group is, and how long the log has room for what it lacks', async (t) => {
  const hour = 3_600_000
  const log: Partial<LogAdmin> = {
    groups: () =>
      Promise.resolve([
        { name: 'orders@primary', tables: [], lanes: [90, 95], attributes: {}, lost: false },
        { name: 'orders@backup', tables: [], lanes: [0, 0], attributes: {}, lost: true },
      ]),
    lag: (group) =>
      Promise.resolve({
        changes: group === 'orders@primary' ? 10 : 100,
        oldestCommittedAtMs: Date.now() - 90_000,
      }),
    retention: () =>
      Promise.resolve({
        bytes: 1000,
        bytesMax: 10_000,
        oldest: 0,
        next: 100,
        oldestAppendedAtMs: Date.now() - 2 * hour,
      }),
    control: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  }
  const { run } = withPipeline(commandLine(t, { openLog: () => Promise.resolve(log as LogAdmin) }))
  const { out } = await run('log', 'groups')
  assert.deepEqual(
    out.map((line) => line.split(/ {2,}/)),
    [
      ['SOURCE', 'GROUP', 'NEXT BY LANE', 'LAG', 'BEHIND', 'ROOM'],
      ['main', 'orders@primary', '90 95', '10', '1 min 30 s', '19 h 48 min'],
      ['main', 'orders@backup', '0 0', '100', '1 min 30 s', 'lost'],
    ],
  )
  // Where age takes it from whoever needs it, that is told too.
  const aged = { ...log, retention: async () => ({ ...(await log.retention?.()), keptMs: 3 * hour }) }
  const other = withPipeline(commandLine(t, { openLog: () => Promise.resolve(aged as LogAdmin) }))
  assert.match((await other.run('log', 'groups')).out[1] ?? '', / 2 h 58 min$/)
  const [json = ''] = (await run('log', 'groups', '--json')).out
  assert.equal((JSON.parse(json) as { lagChanges: number }).lagChanges, 10)
})

test('log show prints the changes of a key, whether it is a number or a text', async (t) => {
  const asked: string[] = []
  const log: Partial<LogAdmin> = {
    async *find(_, key) {
      asked.push(key)
      if (key !== '["42"]') return
      const change = { table, key, committedAtMs: 1_700_000_000_000, op: 'update' } as const
      const [before, after] = [packRow(['9007199254740993', '"a"']), packRow(['9007199254740993', null])]
      yield {
        offset: 5,
        version: 281_474_976_710_661n,
        addressee: undefined,
        change: { ...change, before, after },
      }
    },
    control: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  }
  const { run } = withPipeline(commandLine(t, { openLog: () => Promise.resolve(log as LogAdmin) }))
  assert.deepEqual(await run('log', 'show', 'shop.orders', '42'), {
    code: 0,
    out: ['offset 5  update  2023-11-14T22:13:20.000Z  version 281474976710661', '  title: "a" → null'],
    err: [],
  })
  assert.deepEqual(asked, ['[42]', '["42"]'])
  const json = await run('log', 'show', 'shop.orders', '["42"]', '--json')
  assert.match(
    json.out[0] ?? '',
    /"before":\{"id":9007199254740993,"title":"a"\},"after":\{"id":9007199254740993,"title":null\}/,
  )
  assert.equal((await run('log', 'show', 'shop.orders', '43')).code, 1)
})

test('log switch says what it would do, and what it did', async (t) => {
  const asked: LogSwitchRequest[] = []
  const kinds = { source: 'main', from: 'embedded', to: 'kafka' } as const
  const plan: LogSwitchPlan = { ...kinds, state: 'ready', seq: 9, changes: 1500, groups: [], deadLetters: 2 }
  const { run } = withPipeline(
    commandLine(t, {
      planLogSwitch: () => Promise.resolve(plan),
      switchLog: (request) => {
        asked.push(request)
        const done = {
          epoch: 1,
          seq: 9,
          copied: 1500,
          deadLetters: 2,
          groups: ['orders@main'],
          leftBehind: [],
        }
        return Promise.resolve({ ...kinds, outcome: 'moved', ...done })
      },
    }),
  )
  const planned = await run('log', 'switch', 'kafka', '--dry-run')
  assert.deepEqual(
    planned.out.map((line) => line.split(/ {2,}/)),
    [
      ['SOURCE', 'FROM', 'TO', 'WOULD', 'CHANGES', 'LETTERS', 'GROUPS'],
      ['main', 'embedded', 'kafka', 'be switched', '1,500', '2', '0'],
    ],
  )
  assert.deepEqual(asked, [])
  const { code, out } = await run('log', 'switch', 'kafka', '--history')
  assert.equal(code, 0)
  assert.match(out.join('\n'), /copied: 1,500 changes, 2 dead letters, 1 groups\nNow set log.kind: kafka/)
  assert.deepEqual(asked, [{ source: 'main', to: 'kafka', history: true }])
  assert.equal((await run('log', 'switch', 'rabbit')).code, 2)
})

test('generate writes the files of the schemas', async (t) => {
  const line = commandLine(t)
  assert.equal((await line.run('generate', 'there')).code, 0)
  for (const [name, content] of Object.entries(generatedFiles()))
    assert.equal(line.read(`there/${name}`), content)
})
