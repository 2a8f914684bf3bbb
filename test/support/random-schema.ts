/** A table with random columns and a random key, and random statements that fill, change and alter it; all drawn from a seed. */
import * as fc from 'fast-check'
import { everyType } from './every-type.ts'
import { Random } from './random.ts'
import { sizedTypes } from './sized-types.ts'

export interface RandomTable {
  /** As it is, without quotes. */
  readonly name: string
  readonly create: string
  /** How many columns it was made with. */
  readonly width: number
  /** Was made with columns of which a binlog does not say enough: statements that alter them must be seen in time. */
  readonly hasLookalikes: boolean
  isGenerated(column: string): boolean
  insert(): string
  /** An UPDATE or a DELETE. */
  change(): string
  alter(): string
}

export interface TableWish {
  readonly schema: string
  /** The server's name in the stack. */
  readonly server: string
  /** Of columns. */
  readonly widthMax: number
  /** Its changes may be read when it was altered since: it then gets no column of which a binlog does not say enough. */
  readonly isReadLate: boolean
}

export function randomTable(seed: number, wish: TableWish): RandomTable {
  return new DrawnTable(new Random(seed), wish)
}

interface Column {
  name: string
  /** Its type, with charset and collation. */
  readonly type: string
  readonly isNullable: boolean
  /** Between the type and the comma. */
  readonly attributes: string
  /** SQL expressions; empty = generated. */
  readonly values: readonly string[]
  readonly isGenerated: boolean
}

interface Drawn {
  readonly type: string
  readonly values: readonly string[]
}

const oddNames = [
  'plain',
  'with space',
  '`',
  '``x',
  "it's",
  '"double"',
  'back\\slash',
  'dot.ted',
  'Grüße',
  'Ж',
  '中文',
  '%s',
  '$1',
  '#',
  '--',
  '/*',
  '*/',
  ';',
  'select',
  'NULL',
  'Id',
  '0',
  '1e5',
  'a,b',
  '(',
  '@v',
  '?',
  ':x',
  '${x}',
  '__proto__',
  'constructor',
  'toString',
  'x'.repeat(56),
  '\u2028',
  'tab\there',
  'new\nline',
  '=',
  '-',
  '~',
]
const usedMax = 14

class DrawnTable implements RandomTable {
  readonly name: string
  readonly create: string
  readonly width: number
  readonly hasLookalikes: boolean
  readonly #random: Random
  readonly #server: string
  readonly #isReadLate: boolean
  readonly #table: string
  readonly #columns: Column[]
  readonly #key: readonly Column[]
  /** Of generated ones, which they are made from. */
  readonly #pinned = new Set<Column>()
  #drawn = 0

  constructor(random: Random, { schema, server, widthMax, isReadLate }: TableWish) {
    this.#random = random
    this.#server = server
    this.#isReadLate = isReadLate
    // A table is named behind the first point.
    this.name = `${random.pick(oddNames)}${random.below(100)}`
    this.#table = `${quoted(schema)}.${quoted(this.name)}`
    this.width = 1 + random.below(random.next() < 0.5 ? Math.min(6, widthMax) : widthMax)
    this.#columns = Array.from({ length: this.width }, () => this.#column())
    this.#key = this.#drawKey()
    this.#addGenerated()
    this.hasLookalikes = this.#columns.some(isLookalike)
    this.create = this.#createStatement()
  }

  isGenerated(column: string): boolean {
    return this.#columns.some(({ name, isGenerated }) => isGenerated && name === column)
  }

  insert(): string {
    const filled = this.#columns.filter(({ isGenerated }) => !isGenerated)
    const shown = filled.filter((column) => this.#key.includes(column) || this.#random.next() < 0.95)
    const names = shown.map(({ name }) => quoted(name))
    return `INSERT INTO ${this.#table} (${names.join(', ')}) VALUES (${shown.map((each) => this.#value(each)).join(', ')})`
  }

  change(): string {
    const those = `ORDER BY RAND(${this.#random.below(1e6)}) LIMIT ${1 + this.#random.below(3)}`
    if (this.#random.next() < 0.25) return `DELETE FROM ${this.#table} ${those}`
    const written = this.#columns.filter(
      (column) => !column.isGenerated && this.#random.next() < (this.#key.includes(column) ? 0.3 : 0.4),
    )
    const [first = this.#key[0]] = written
    const set = (written.length > 0 ? written : [first]).flatMap((column) =>
      column === undefined ? [] : `${quoted(column.name)} = ${this.#value(column)}`,
    )
    return `UPDATE ${this.#table} SET ${set.join(', ')} ${those}`
  }

  alter(): string {
    const free = this.#columns.filter((column) => !this.#isBound(column))
    const victim = free.length > 0 && this.#columns.length > 2 ? this.#random.pick(free) : undefined
    const kind = this.#random.below(4)
    if (kind === 0 && victim !== undefined) {
      this.#columns.splice(this.#columns.indexOf(victim), 1)
      return `ALTER TABLE ${this.#table} DROP COLUMN ${quoted(victim.name)}`
    }
    if (kind === 1 && victim !== undefined) {
      const former = victim.name
      victim.name = this.#name()
      return `ALTER TABLE ${this.#table} CHANGE COLUMN ${quoted(former)} ${definitionOf(victim)}`
    }
    if (kind === 2 && victim !== undefined) {
      this.#columns.splice(this.#columns.indexOf(victim), 1)
      return `ALTER TABLE ${this.#table} MODIFY COLUMN ${definitionOf(victim)} ${this.#place(victim)}`
    }
    let added = this.#column()
    while (this.#isReadLate && isLookalike(added)) added = this.#column()
    return `ALTER TABLE ${this.#table} ADD COLUMN ${definitionOf(added)} ${this.#place(added)}`
  }

  #isBound(column: Column): boolean {
    return this.#key.includes(column) || this.#pinned.has(column) || column.isGenerated
  }

  /** Puts the column there. */
  #place(column: Column): string {
    const at = this.#random.below(this.#columns.length + 1)
    const before = this.#columns[at - 1]
    this.#columns.splice(at, 0, column)
    return before === undefined ? 'FIRST' : `AFTER ${quoted(before.name)}`
  }

  #name(): string {
    return `${this.#random.pick(oddNames)}${++this.#drawn}`
  }

  #column(): Column {
    const { type, values } = this.#random.next() < 0.5 ? this.#fixedType() : this.#sizedType()
    const isNullable = this.#random.next() < 0.6
    return {
      name: this.#name(),
      type,
      values,
      isNullable,
      isGenerated: false,
      attributes: this.#attributes(isNullable),
    }
  }

  #attributes(isNullable: boolean): string {
    const nullness = isNullable ? ' NULL' : ' NOT NULL'
    const comment = this.#random.next() < 0.1 ? " COMMENT 'it''s; -- /* odd'" : ''
    const canHide = isNullable && this.#server !== 'mysql@5.7' && this.#random.next() < 0.1
    return `${nullness}${comment}${canHide ? ' INVISIBLE' : ''}`
  }

  /** One of those whose extremes are known. */
  #fixedType(): Drawn {
    const [, { sql, extremes, random }] = this.#random.pick(fixedTypes(this.#server))
    const values = fc.sample(random, { numRuns: usedMax, seed: this.#random.below(2 ** 31) })
    return { type: sql, values: [...extremes.map(([value]) => value), ...values] }
  }

  /** One with lengths, digits, signs, character sets and labels of its own. */
  #sizedType(): Drawn {
    const draw = this.#random.pick(sizedTypes)
    const random = this.#random
    const type = draw.type(random)
    return { type, values: Array.from({ length: usedMax }, () => draw.value(random)) }
  }

  #drawKey(): readonly Column[] {
    const usable = this.#columns.filter(({ type }) => keyable.test(type))
    const wanted = 1 + this.#random.below(3)
    const key: Column[] = []
    while (key.length < wanted && usable.length > 0) {
      const [column] = usable.splice(this.#random.below(usable.length), 1)
      if (column !== undefined) key.push(column)
    }
    if (key.length === 0) {
      const values = Array.from({ length: 200 }, () => String(this.#random.below(2 ** 31)))
      const id = {
        name: this.#name(),
        type: 'int',
        values,
        isNullable: false,
        isGenerated: false,
        attributes: '',
      }
      this.#place(id)
      key.push(id)
    }
    // A part of a key is not NULL.
    for (const [at, column] of key.entries()) {
      const whole = { ...column, isNullable: false, attributes: ' NOT NULL' }
      this.#columns[this.#columns.indexOf(column)] = whole
      key[at] = whole
    }
    return key
  }

  #addGenerated(): void {
    const bases = this.#columns.filter(({ type }) => /^(int|smallint|varchar)/.test(type))
    if (bases.length === 0 || this.#random.next() < 0.6) return
    const base = this.#random.pick(bases)
    this.#pinned.add(base)
    const kind = this.#random.pick(['VIRTUAL', 'STORED'])
    const type = this.#random.pick(['varchar(40)', 'char(9)'])
    const made = `${type} GENERATED ALWAYS AS (LEFT(HEX(${quoted(base.name)}), 8)) ${kind}`
    this.#place({
      name: this.#name(),
      type: made,
      values: [],
      isNullable: true,
      isGenerated: true,
      attributes: '',
    })
  }

  #createStatement(): string {
    const names = this.#key.map(({ name }) => quoted(name)).join(', ')
    const key = this.#random.next() < 0.8 ? `PRIMARY KEY (${names})` : `UNIQUE KEY \`the key\` (${names})`
    const charset = this.#random.pick(charsets(this.#server))
    const columns = this.#columns.map((column) => definitionOf(column))
    return `CREATE TABLE ${this.#table} (${[...columns, key].join(', ')}) DEFAULT CHARACTER SET ${charset}`
  }

  #value({ values, isNullable }: Column): string {
    return isNullable && this.#random.next() < 0.15 ? 'NULL' : this.#random.pick(values)
  }
}

/** Where two ENUM columns of a ucs2 table have the same labels, MySQL 5.7 spoils both at an ALTER TABLE. */
function charsets(server: string): readonly string[] {
  const all = ['utf8mb4', 'latin1', 'utf8mb4 COLLATE utf8mb4_bin', 'ucs2']
  return server === 'mysql@5.7' ? all.slice(0, -1) : all
}

/** Types of which a whole value fits into a key. */
const keyable =
  /^(tinyint|smallint|mediumint|int|bigint|decimal|bit|date|datetime|time|timestamp|year|enum|uuid|inet[46]|(var)?(char|binary)\(\d\d?\))/

function isLookalike({ type }: Column): boolean {
  return /^(uuid|inet|vector|binary|varbinary)/.test(type)
}

function definitionOf({ name, type, attributes }: Column): string {
  return `${quoted(name)} ${type}${attributes}`
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** Those that stand alone, with nothing said of NULL. */
function fixedTypes(server: string): readonly (readonly [string, (typeof everyType)[string]])[] {
  return Object.entries(everyType).filter(
    ([, { sql, only }]) =>
      (only === undefined || only.includes(server)) && !/generated|invisible| null/.test(sql),
  )
}
