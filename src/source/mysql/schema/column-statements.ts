/** Which of the statements that change a table can change its columns. */
import { wordsOf, type Word } from './sql-words.ts'

/** Whether a statement that changed a table's rows, or how they are kept, has left its columns as they were. */
export function keepsColumns(statement: string): boolean {
  const words = wordsOf(statement)
  const verb = words[0]?.keyword
  if (verb === 'TRUNCATE' || verb === 'DELETE') return true
  if (verb !== 'ALTER') return false
  const [first, second] = afterTable(words)
  return second?.keyword === 'PARTITION' && ofPartitions.has(first?.keyword ?? '')
}

/** They stand alone in their ALTER TABLE. */
const ofPartitions: ReadonlySet<string> = new Set([
  'ADD',
  'ANALYZE',
  'CHECK',
  'COALESCE',
  'DROP',
  'EXCHANGE',
  'OPTIMIZE',
  'REBUILD',
  'REORGANIZE',
  'REPAIR',
  'TRUNCATE',
])

/** What follows `ALTER TABLE name`. */
function afterTable(words: readonly Word[]): readonly Word[] {
  const at = words.findIndex(({ keyword }) => keyword === 'TABLE') + 1
  const isConditional = words[at]?.keyword === 'IF' && words[at + 1]?.keyword === 'EXISTS'
  const nameAt = isConditional ? at + 2 : at
  return words.slice(nameAt + (words[nameAt + 1]?.value === '.' ? 3 : 1))
}
