/**
 * The labels of an ENUM, and the numbers by which the server keeps, compares and sorts them.
 *
 *   ENUM('a','b')     0 (an invalid value) ""    1 "a"    2 "b"
 *   ENUM('','b')      0 ""                       1 ""     2 "b"
 *
 * In a key, two numbers that look alike would be two rows of one document, and pages by that key would give one of them
 * twice or never. There each label stands for the first number that bears it, and rows with the other one are refused.
 */
import { Failure } from '../../../change/failure.ts'
import { bytesOf } from '../../../change/row.ts'
import type { ColumnType } from './column-type.ts'

type EnumType = Omit<Extract<ColumnType, { readonly kind: 'enum' }>, 'kind'>

export interface EnumCells {
  /** The cell of each number from 0 on, a character a byte; undefined = a row with that number is refused. */
  readonly texts: readonly (string | undefined)[]
  /** Of the key, as people name it; undefined = it is no column of a key. */
  readonly column: string | undefined
}

/** The type of a column that is part of the table's key. */
export function keyType(table: string, column: string, type: ColumnType): ColumnType {
  return type.kind === 'enum' ? { ...type, keyColumn: `${table}.${column}` } : type
}

/** Whether some numbers are refused: then a SELECT has to ask for the number. */
export function refusesNumbers({ labels, keyColumn }: EnumType): boolean {
  return keyColumn !== undefined && new Set(['', ...labels]).size <= labels.length
}

export function enumCells({ labels, keyColumn: column }: EnumType): EnumCells {
  const taken = new Set<string>()
  const textOf = (label: string): string | undefined => {
    if (column !== undefined && taken.has(label)) return undefined
    taken.add(label)
    return JSON.stringify(bytesOf(label))
  }
  const texts = labels.map(textOf)
  return { texts: [textOf(''), ...texts], column }
}

/** The cell of a number. Throws a Failure: `unsupported` for one that is refused, `corrupt` beyond the labels. */
export function enumCell(number: number, { texts, column }: EnumCells): string {
  const text = texts[number]
  if (text !== undefined) return text
  if (number >= texts.length)
    throw new Failure('corrupt', `an ENUM has ${texts.length - 1} labels, a row has number ${number}`)
  const what = number === 0 ? "an invalid value, which looks like its label ''" : 'a label that it has twice'
  throw new Failure('unsupported', `${column}: a row has ${what}: in a key the two cannot be told apart`, {
    remedy: `correct the rows in which ${column} + 0 = ${number}, or take the column out of the key; then load the pipelines of this source anew: run with --reload and the name of each`,
  })
}
