/** Lines of a file or of what is piped in. */
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { Failure } from '../change/failure.ts'

/** Without their ends; a last line without one counts too. */
export async function* linesIn(input: AsyncIterable<string | Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const piece of input) {
    const lines = (rest + (typeof piece === 'string' ? piece : decoder.write(piece))).split(/\r?\n/)
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

/** Throws a Failure of kind `configuration` when the file cannot be read. */
export async function* fileContent(workingDirectory: string, file: string): AsyncGenerator<Buffer> {
  try {
    for await (const piece of createReadStream(resolve(workingDirectory, file))) yield piece as Buffer
  } catch (cause) {
    throw new Failure('configuration', `the file ${file} cannot be read`, {
      cause,
      remedy: 'check its path and its permissions',
    })
  }
}
