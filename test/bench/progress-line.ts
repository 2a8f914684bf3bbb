/** Says on standard error what a benchmark is doing: standard output is for its result. */

export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Says how far something is, at most every two seconds. */
export function sayProgress(what: string, all: number): (done: number) => void {
  let saidAt = performance.now()
  return (done) => {
    if (performance.now() - saidAt < intervalMs) return
    saidAt = performance.now()
    say(`${what}: ${done} of ${all}`)
  }
}

const intervalMs = 2000
