/** What the stack tool says while it works. The library only reports; a caller decides whether and how it is shown. */

export interface Progress {
  /** Which server this is about, such as `mysql@9.7`. */
  readonly server: string
  /** What is being done, in a few words. */
  readonly doing: string
  /** Bytes on disk so far, while something is fetched. */
  readonly bytes?: number
  /** About how many bytes there will be in the end. */
  readonly bytesExpected?: number
}

export type Report = (progress: Progress) => void

export const silent: Report = () => {}

const plainIntervalMs = 4000

/**
 * A report that prints to a stream: on a terminal a growing download rewrites its own line, elsewhere it prints one
 * plain line every few seconds.
 */
export function printProgress(stream: NodeJS.WriteStream = process.stderr): Report {
  const printedAt = new Map<string, number>()
  let openLine = false
  return (progress) => {
    const text = describeProgress(progress)
    const growing = progress.bytes !== undefined
    if (stream.isTTY) {
      const start = openLine ? '\r\u001B[2K' : ''
      stream.write(`${start}${text}${growing ? '' : '\n'}`)
      openLine = growing
      return
    }
    const subject = `${progress.server} ${progress.doing}`
    const due = Date.now() - (printedAt.get(subject) ?? 0) >= plainIntervalMs
    if (growing && !due) return
    printedAt.set(subject, Date.now())
    stream.write(`${text}\n`)
  }
}

export function describeProgress(progress: Progress): string {
  const { server, doing, bytes, bytesExpected } = progress
  if (bytes === undefined) return `${server}: ${doing}`
  const size =
    bytesExpected === undefined ? megabytes(bytes) : `${megabytes(bytes)} of ${megabytes(bytesExpected)}`
  return `${server}: ${doing}, ${size}`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`
}
