/** Tables as people read them. */

export interface ColumnOf<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Numbers stand at the right. */
  readonly right?: boolean
}

/** Aligned columns under their titles; no line ends in spaces. */
export function tableOf<Row>(columns: readonly ColumnOf<Row>[], rows: readonly Row[]): readonly string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => text(row))),
  ]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => widthOf(line[index] ?? ''))))
  return cells.map((line) => {
    const padded = line.map((cell, index) => {
      const gap = ' '.repeat((widths[index] ?? 0) - widthOf(cell))
      return columns[index]?.right === true ? gap + cell : cell + gap
    })
    return padded.join('  ').trimEnd()
  })
}

function widthOf(text: string): number {
  return Array.from(text).length
}
