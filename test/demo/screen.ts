/** What the demo shows: on a terminal a few lines that are written over in place, elsewhere a plain line now and then. */

export interface View {
  /** Name and text of each line, in order. */
  readonly lines: readonly (readonly [name: string, text: string])[]
  /** The same in one line, for output that is no terminal. */
  readonly plain: string
}

export class Screen {
  readonly #stream: NodeJS.WriteStream
  #shownLines = 0
  #plainAt = -Infinity

  constructor(stream: NodeJS.WriteStream = process.stdout) {
    this.#stream = stream
  }

  /** Shows how things are now. */
  show(view: View): void {
    if (!this.#stream.isTTY) return this.#showPlain(view.plain)
    const width = Math.max(20, this.#stream.columns) - 1
    const lines = view.lines.map(([name, text]) => `${name.padEnd(nameWidth)} ${text}`)
    // A line that wraps would be two, and the next picture would begin too low.
    const fitting = lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line))
    this.#stream.write(`${this.#upAndClear()}${fitting.join('\n')}\n`)
    this.#shownLines = fitting.length
  }

  /** Prints a line that stays, above what is shown. */
  say(text: string): void {
    this.#stream.write(`${this.#upAndClear()}${text}\n`)
    this.#shownLines = 0
  }

  #showPlain(text: string): void {
    if (performance.now() - this.#plainAt < plainIntervalMs) return
    this.#plainAt = performance.now()
    this.#stream.write(`${text}\n`)
  }

  #upAndClear(): string {
    return this.#shownLines === 0 ? '' : `\u001B[${this.#shownLines}A\r\u001B[J`
  }
}

const nameWidth = 10
const plainIntervalMs = 3000
