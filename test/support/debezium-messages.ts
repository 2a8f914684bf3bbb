/** Messages in the shape that Debezium's connector for MySQL gives them through the JSON converter, schema block included. */

/** A column as the schema block describes it. */
export interface DebeziumField {
  readonly type: string
  readonly optional: boolean
  readonly field: string
  readonly name?: string
  readonly version?: number
  readonly parameters?: Readonly<Record<string, string>>
}

export type DebeziumRow = Readonly<Record<string, unknown>>

export interface DebeziumEvent {
  readonly op: 'c' | 'u' | 'd' | 'r' | 't'
  readonly before?: DebeziumRow
  readonly after?: DebeziumRow
}

export interface DebeziumTable {
  readonly schema: string
  readonly table: string
  readonly fields: readonly DebeziumField[]
  readonly key: readonly string[]
  /** Whether messages have a schema block (value.converter.schemas.enable). */
  readonly schemas: boolean
}

export interface DebeziumMessage {
  readonly key: string | null
  readonly value: string | null
}

/** The event, and behind a delete its tombstone. */
export function messagesOf(table: DebeziumTable, event: DebeziumEvent): readonly DebeziumMessage[] {
  const row = event.after ?? event.before
  const key = row === undefined ? null : keyOf(table, row)
  const message = { key, value: valueOf(table, event) }
  return event.op === 'd' ? [message, { key, value: null }] : [message]
}

function keyOf({ schema, table, fields, key, schemas }: DebeziumTable, row: DebeziumRow): string {
  const payload = Object.fromEntries(key.map((name) => [name, row[name]]))
  if (!schemas) return JSON.stringify(payload)
  const own = fields.filter(({ field }) => key.includes(field))
  const block = { type: 'struct', fields: own, optional: false, name: `${prefix}.${schema}.${table}.Key` }
  return JSON.stringify({ schema: block, payload })
}

function valueOf(table: DebeziumTable, { op, before, after }: DebeziumEvent): string {
  const payload = {
    before: before ?? null,
    after: after ?? null,
    source: {
      version: '3.1.2.Final',
      connector: 'mysql',
      name: prefix,
      ts_ms: committedAtMs,
      snapshot: op === 'r' ? 'true' : 'false',
      db: table.schema,
      sequence: null,
      ts_us: committedAtMs * 1000,
      ts_ns: committedAtMs * 1_000_000,
      table: table.table,
      server_id: 1,
      gtid: null,
      file: 'binlog.000002',
      pos: 1234,
      row: 0,
      thread: 12,
      query: null,
    },
    transaction: null,
    op,
    ts_ms: committedAtMs + 250,
    ts_us: (committedAtMs + 250) * 1000,
    ts_ns: (committedAtMs + 250) * 1_000_000,
  }
  return JSON.stringify(table.schemas ? { schema: envelopeOf(table), payload } : payload)
}

function envelopeOf({ schema, table, fields }: DebeziumTable): unknown {
  const name = `${prefix}.${schema}.${table}`
  const row = { type: 'struct', fields, optional: true, name: `${name}.Value` }
  const source = {
    type: 'struct',
    fields: [
      { type: 'string', optional: false, field: 'version' },
      { type: 'string', optional: false, field: 'connector' },
      { type: 'string', optional: false, field: 'name' },
      { type: 'int64', optional: false, field: 'ts_ms' },
      {
        type: 'string',
        optional: true,
        name: 'io.debezium.data.Enum',
        version: 1,
        parameters: {
          allowed: 'true,first,first_in_data_collection,last_in_data_collection,last,false,incremental',
        },
        default: 'false',
        field: 'snapshot',
      },
      { type: 'string', optional: false, field: 'db' },
      { type: 'int64', optional: false, field: 'pos' },
      { type: 'int32', optional: false, field: 'row' },
    ],
    optional: false,
    name: 'io.debezium.connector.mysql.Source',
    field: 'source',
  }
  return {
    type: 'struct',
    fields: [
      { ...row, field: 'before' },
      { ...row, field: 'after' },
      source,
      { type: 'struct', fields: [], optional: true, name: 'event.block', version: 1, field: 'transaction' },
      { type: 'string', optional: false, field: 'op' },
      { type: 'int64', optional: true, field: 'ts_ms' },
    ],
    optional: false,
    name: `${name}.Envelope`,
    version: 2,
  }
}

const prefix = 'dbserver'
export const committedAtMs = 1_760_000_000_000
