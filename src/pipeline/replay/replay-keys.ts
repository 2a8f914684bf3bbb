/**
 * The keys of a stretch of the log, each once, in bounded memory. Where there are too many to remember, the part of the
 * keys is halved by their hash, and the other half waits for a walk of its own: walking over the log costs far less than
 * reading one of its rows twice.
 *
 *   every key ──too many──▶ hash ≡ 0 mod 2 ──too many──▶ hash ≡ 0 mod 4      waiting: hash ≡ 2 mod 4, hash ≡ 1 mod 2
 */
import type { Key, Offset, Table } from '../../change/change.ts'
import { Failure } from '../../change/failure.ts'
import type { Records } from '../../change/records.ts'
import { isAddressedTo, type LogAdmin } from '../../log/log.ts'

/** Keys whose hash has this remainder. */
export interface KeyPart {
  readonly modulus: number
  readonly remainder: number
}

export interface Stretch {
  readonly from: Offset
  readonly to: Offset
  /** As the source describes it now. */
  readonly table: Table
  /** Records for others are passed over. */
  readonly groups: readonly string[]
  /** Of these keys alone; undefined = of all. */
  readonly only?: ReadonlySet<Key> | undefined
}

export interface GatheredKeys {
  /** In the order of their first records: the same at each walk. */
  readonly keys: ReadonlySet<Key>
  /** What was walked over, and the parts that were split off it. */
  readonly part: KeyPart
  readonly others: readonly KeyPart[]
  readonly records: number
  /** Statements that changed rows without naming them. */
  readonly barriers: readonly string[]
}

export const everyKey: KeyPart = { modulus: 1, remainder: 0 }

/** Beyond it the hash has no bits to tell more parts apart. */
const modulusMax = 2 ** 24

export async function gatherKeys(
  log: Pick<LogAdmin, 'range'>,
  stretch: Stretch,
  { part, keysMax }: { readonly part: KeyPart; readonly keysMax: number },
): Promise<GatheredKeys> {
  const gathering = new Gathering(stretch, part, keysMax)
  const { from, to } = stretch
  for await (const { records, offset, addressee, barriers } of log.range(from, to)) {
    for (const { table, statement } of barriers)
      if (table === stretch.table.name && offset >= from) gathering.barriers.push(statement)
    if (stretch.groups.some((group) => isAddressedTo(addressee, group))) gathering.add(records, offset)
  }
  return gathering
}

class Gathering implements GatheredKeys {
  keys = new Set<Key>()
  part: KeyPart
  readonly others: KeyPart[] = []
  records = 0
  readonly barriers: string[] = []
  readonly #stretch: Stretch
  readonly #keysMax: number
  readonly #known = new Set<Table>()

  constructor(stretch: Stretch, part: KeyPart, keysMax: number) {
    this.#stretch = stretch
    this.part = part
    this.#keysMax = keysMax
  }

  add(records: Records, first: Offset): void {
    const { from, to, table } = this.#stretch
    if (!records.tables.some(({ name }) => name === table.name)) return
    let offset = first
    for (const cursor = records.cursor(); cursor.next(); offset++) {
      if (offset < from || offset >= to || cursor.table.name !== table.name) continue
      if (!this.#known.has(cursor.table)) this.#assertSameKey(cursor.table)
      this.records++
      this.#remember(cursor.key)
    }
  }

  #remember(key: Key): void {
    if (this.#stretch.only?.has(key) === false) return
    if (hashOf(key) % this.part.modulus !== this.part.remainder) return
    this.keys.add(key)
    while (this.keys.size > this.#keysMax && this.part.modulus < modulusMax) this.#split()
  }

  #split(): void {
    const { modulus, remainder } = this.part
    this.part = { modulus: 2 * modulus, remainder }
    this.others.unshift({ modulus: 2 * modulus, remainder: remainder + modulus })
    const kept = [...this.keys].filter((key) => hashOf(key) % this.part.modulus === remainder)
    this.keys = new Set(kept)
  }

  #assertSameKey(then: Table): void {
    const { table } = this.#stretch
    if (keyColumns(then).join() !== keyColumns(table).join()) {
      throw new Failure(
        'configuration',
        `the key of ${table.name} was ${keyColumns(then).join(', ')} and is ${keyColumns(table).join(', ')} now`,
        { remedy: 'read the whole table again: millrace run --reload PIPELINE' },
      )
    }
    this.#known.add(then)
  }
}

function keyColumns({ key, columns }: Table): readonly string[] {
  return key.map((at) => columns[at]?.name ?? '')
}

/** FNV-1a, mixed so that its low bits depend on all of the key. */
function hashOf(key: Key): number {
  let state = 0x811c9dc5
  for (let at = 0; at < key.length; at++) state = Math.imul(state ^ key.charCodeAt(at), 0x01000193)
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return (state ^ (state >>> 16)) >>> 0
}
