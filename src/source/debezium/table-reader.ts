/** Messages of one topic to changes of one table, in the shape that Debezium gives them: with a schema block or without. */
import type { Key, Row, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import { membersOf, objectsOf, stringOf } from '../../change/raw-json.ts'
import { keyOf, packRow, type Cell } from '../../change/row.ts'
import type { RecordsBuilder } from '../../change/records.ts'
import { fieldOf, typeFrom, type Field, type FieldType } from './field-types.ts'
import type { Message } from './topics.ts'

export interface TableReaderOptions {
  /** `schema.table`. */
  readonly table: string
  readonly excluded: readonly string[]
  /** Types by column, for messages without a schema block. */
  readonly columns: Readonly<Record<string, string>>
  /** The key's columns where messages have no key. */
  readonly key: readonly string[] | undefined
}

/** What a message came to; `truncated` = all rows are gone. */
export type Effect = 'change' | 'nothing' | 'truncated'

type Members = ReadonlyMap<string, string>

interface Form {
  readonly table: Table
  readonly fields: readonly Field[]
}

/** So many forms of rows are remembered: one for each change of the table, as a rule. */
const formsMax = 64

export class TableReader {
  readonly #options: TableReaderOptions
  /** By the text that they follow from. */
  readonly #forms = new Map<string, Form>()
  /** The one of the last message. */
  form: Form | undefined
  /** The key of the last message, where that was a delete. */
  #deleted: Buffer | undefined

  constructor(options: TableReaderOptions) {
    this.#options = options
  }

  /** Throws a Failure where the message is not understood, which says why; `transient` where a later one may tell what is missing. */
  read(message: Message, into: RecordsBuilder): Effect {
    const deleted = this.#deleted
    this.#deleted = undefined
    if (message.value === null) return this.#bury(message, deleted, into)
    const { payload, schema } = blockOf(message.value)
    if (payload === 'null') return this.#bury(message, deleted, into)
    const envelope = membersOf(payload)
    const op = envelope.get('op')
    if (op === undefined)
      throw new Failure('unsupported', `the messages of ${this.#options.table} are no change events`, {
        remedy:
          'take the transformation (such as ExtractNewRecordState) out of the connector: op, before and after are needed',
      })
    const kind = stringOf(op)
    if (kind === 't') return 'truncated'
    this.#add(kind, envelope, { message, schema }, into)
    return 'change'
  }

  /** Without a schema block: as the settings say, if they do. */
  configured(key: readonly string[]): Form | undefined {
    const { columns } = this.#options
    if (Object.keys(columns).length === 0) return undefined
    const types = Object.entries(columns).map(([name, text]): [string, FieldType] => [name, typeFrom(text)])
    return this.#formOf(JSON.stringify(key), new Map(types), key)
  }

  /** A tombstone follows each delete. Compaction takes the delete first, and leaves the tombstone for a while. */
  #bury(message: Message, deleted: Buffer | undefined, into: RecordsBuilder): Effect {
    const keyed = keyMembers(message.key)
    if (keyed.size === 0 || deleted?.equals(message.key) === true) return 'nothing'
    const form = this.form ?? this.configured([...keyed.keys()])
    if (form === undefined)
      throw new Failure('transient', `no message tells yet what the key of ${this.#options.table} is`)
    const { table } = form
    const shown = this.#cells(form, onlyKey(keyed, table))
    const base = { table, key: keyOf(table, shown), committedAtMs: message.appendedAtMs }
    into.add({ ...base, op: 'delete', before: packRow(shown), after: undefined })
    return 'change'
  }

  #add(
    kind: string,
    envelope: Members,
    { message, schema }: { readonly message: Message; readonly schema: string | undefined },
    into: RecordsBuilder,
  ): void {
    const keyed = keyMembers(message.key)
    const form = this.#form(schema, keyed)
    this.form = form
    const { table } = form
    const [before, after] = [rowMembers(envelope.get('before')), rowMembers(envelope.get('after'))]
    const shown = after ?? before ?? keyed
    const key = keyOf(table, this.#cells(form, shown))
    // What is not there was not shown: that is not NULL.
    const packed = (row: Members): Row => packRow(this.#cells(form, row))
    const old = packed(before ?? onlyKey(keyed, table))
    const base = { table, key, committedAtMs: committedAtMs(envelope, message) }
    if (kind === 'd') {
      this.#deleted = message.key
      into.add({ ...base, op: 'delete', before: old, after: undefined })
    } else if (after === undefined) throw this.#broken(`has op ${kind} and no row after it`)
    else if (kind === 'u') this.#update({ ...base, before: old, after: packed(after) }, before, into)
    else if (kind === 'c') into.add({ ...base, op: 'insert', before: undefined, after: packed(after) })
    else if (kind === 'r')
      into.add({ ...base, committedAtMs: 0, op: 'read', before: undefined, after: packed(after) })
    else throw this.#broken(`has the unknown op ${kind}`)
  }

  /** A key that changes is two messages, so an update has one key. */
  #update(
    change: { table: Table; key: Key; committedAtMs: number; before: Row; after: Row },
    before: Members | undefined,
    into: RecordsBuilder,
  ): void {
    const form = this.form
    if (
      before !== undefined &&
      form !== undefined &&
      keyOf(form.table, this.#cells(form, before)) !== change.key
    )
      throw this.#broken('is an update of the key')
    into.add({ ...change, op: 'update' })
  }

  #form(schema: string | undefined, keyed: Members): Form {
    const { table, key = [] } = this.#options
    const names = keyed.size > 0 ? [...keyed.keys()] : key
    if (names.length === 0)
      throw new Failure('unsupported', `the messages of ${table} have no key`, {
        remedy: 'name the columns of the key in the pipeline file: key',
      })
    if (schema !== undefined) {
      const text = JSON.stringify(names) + schema
      return this.#forms.get(text) ?? this.#formOf(text, typesIn(schema), names)
    }
    const form = this.configured(names)
    if (form !== undefined) return form
    throw new Failure(
      'unsupported',
      `the messages of ${table} have no schema block: numbers may be times or decimals`,
      {
        remedy: `let the connector write it (value.converter.schemas.enable=true), or set the types of its columns: sources.NAME.types`,
      },
    )
  }

  #formOf(text: string, types: ReadonlyMap<string, FieldType>, keyNames: readonly string[]): Form {
    const known = this.#forms.get(text)
    if (known !== undefined) return known
    const { table: name, excluded } = this.#options
    const shown = [...types].filter(([field]) => !excluded.includes(field) || keyNames.includes(field))
    const fields = shown.map(([field, type]) => fieldOf(field, type))
    const columns = fields.map(({ column }) => column)
    const key = keyNames.map((each) => columns.findIndex((column) => column.name === each))
    if (key.includes(-1))
      throw this.#broken(`has a key of ${keyNames.join(', ')}, which are not all in its rows`)
    const form = { table: { name, columns, key }, fields }
    if (this.#forms.size >= formsMax) this.#forms.clear()
    this.#forms.set(text, form)
    return form
  }

  #cells({ fields }: Form, row: Members): Cell[] {
    const cells = fields.map(({ column, cellOf }): Cell => {
      const raw = row.get(column.name)
      if (raw === undefined || raw === unavailable) return undefined
      if (raw === 'null') return null
      const cell = cellOf(raw)
      if (cell === undefined)
        throw this.#broken(`holds a value in ${column.name} that no ${column.type} can be`)
      return cell
    })
    const known = new Set(fields.map(({ column }) => column.name))
    for (const name of row.keys())
      if (!known.has(name) && !this.#options.excluded.includes(name))
        throw this.#broken(`has the column ${name}, whose type nothing says`)
    return cells
  }

  #broken(why: string): Failure {
    return new Failure('unsupported', `a message of ${this.#options.table} ${why}`)
  }
}

/** What the connector writes where the source did not show the value. */
const unavailable = '"__debezium_unavailable_value"'

function blockOf(value: Buffer): { readonly payload: string; readonly schema: string | undefined } {
  const text = value.toString('utf8')
  if (!text.startsWith('{')) throw notJson()
  const members = membersOf(text)
  const payload = members.get('payload')
  if (payload === undefined || !members.has('schema')) return { payload: text, schema: undefined }
  const schema = members.get('schema')
  return { payload, schema: schema === 'null' ? undefined : schema }
}

function notJson(): Failure {
  return new Failure('unsupported', 'a message is not JSON', {
    remedy: 'Avro and Protobuf are not read: use org.apache.kafka.connect.json.JsonConverter',
  })
}

function keyMembers(key: Buffer): Members {
  if (key.length === 0) return new Map<string, string>()
  const { payload } = blockOf(key)
  return payload === 'null' ? new Map<string, string>() : membersOf(payload)
}

function rowMembers(raw: string | undefined): Members | undefined {
  return raw === undefined || raw === 'null' ? undefined : membersOf(raw)
}

function onlyKey(keyed: Members, { columns, key }: Table): Members {
  const names = key.map((at) => columns[at]?.name)
  return new Map([...keyed].filter(([name]) => names.includes(name)))
}

/** When the source committed it; where it does not say so, when the connector saw it. */
function committedAtMs(envelope: Members, { appendedAtMs }: Message): number {
  const source = rowMembers(envelope.get('source'))
  const told = Number(source?.get('ts_ms') ?? envelope.get('ts_ms'))
  return Number.isSafeInteger(told) && told > 0 ? told : appendedAtMs
}

/** The types of a row's columns, from the schema block of its envelope. */
function typesIn(schema: string): ReadonlyMap<string, FieldType> {
  const fields = objectsOf(membersOf(schema).get('fields') ?? '[]')
  const row = fields.find((each) => textIn(each, 'field') === 'after')
  const types = objectsOf(row?.get('fields') ?? '[]').map((each): [string, FieldType] => [
    textIn(each, 'field') ?? '',
    {
      type: textIn(each, 'type') ?? '',
      name: textIn(each, 'name'),
      parameters: parametersIn(each),
      optional: each.get('optional') === 'true',
    },
  ])
  if (types.length === 0) throw new Failure('unsupported', 'a schema block names no fields of the row after')
  return new Map(types)
}

function textIn(members: Members, name: string): string | undefined {
  const raw = members.get(name)
  return raw?.startsWith('"') === true ? stringOf(raw) : undefined
}

function parametersIn(members: Members): Readonly<Record<string, string>> {
  const parameters = rowMembers(members.get('parameters')) ?? new Map<string, string>()
  return Object.fromEntries([...parameters].map(([name, raw]) => [name, stringOf(raw)]))
}
